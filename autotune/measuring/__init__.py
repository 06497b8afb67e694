"""One configuration under load: blocks, and when to stop."""
