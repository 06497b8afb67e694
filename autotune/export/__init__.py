"""best.json, and files for deployment targets."""
