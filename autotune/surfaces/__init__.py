"""Recorded surfaces: to record, to keep and to replay them."""
