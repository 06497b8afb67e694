"""Questions to stored evidence: pure functions, nothing is measured."""
