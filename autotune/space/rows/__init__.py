"""Rows of the table of dimensions that came after the first version, by whose settings they are."""
