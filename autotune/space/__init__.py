"""Configurations and the space that they are points of."""
