"""Prefect: what happens because time passed, not because somebody clicked."""
