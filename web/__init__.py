"""Server-rendered Vietnamese pages on the same application services."""
