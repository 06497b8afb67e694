"""best.json, and later one module for each deployment target."""
