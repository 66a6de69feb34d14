"""Read models for lists and pages, with keyset pagination."""
