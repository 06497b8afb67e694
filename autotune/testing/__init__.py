"""A machine made of formulas, to test against: no process, no clock."""
