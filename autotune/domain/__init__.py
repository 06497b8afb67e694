"""Frozen values and the rules between them; standard library only."""
