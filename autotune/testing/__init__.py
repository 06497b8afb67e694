"""For people who test their own code against autotune: a machine made of formulas."""
