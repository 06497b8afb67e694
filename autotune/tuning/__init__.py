"""A study from its preparation to its end: trials, then the race."""
