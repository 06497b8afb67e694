"""Numbers for people: terminal tables and the one formatting of every figure."""
