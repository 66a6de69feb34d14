"""Use cases: one method each, one transaction per method, one file per noun."""
