"""Outbox message -> text -> Apprise."""
