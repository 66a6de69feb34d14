"""Office files in and out; knows no database."""
