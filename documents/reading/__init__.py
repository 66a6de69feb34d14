"""Office files -> lines and rows of cells, read in a process of its own with limits."""
