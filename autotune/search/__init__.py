"""From a space to what is tried next."""
