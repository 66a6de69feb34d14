"""The working calendar as data."""

from sqlalchemy import Boolean, CheckConstraint, Column, Date, Integer, Table

from engine.store.tables.base import metadata, text_column

calendar_day = Table(
    "calendar_day",
    metadata,
    Column("day", Date, primary_key=True),
    Column("is_working", Boolean, nullable=False),
    text_column("note", nullable=True),
)

# One row: processes that keep the calendar in memory see by this number that it changed.
calendar_version = Table(
    "calendar_version",
    metadata,
    Column("single", Boolean, primary_key=True),
    Column("version", Integer, nullable=False),
    CheckConstraint("single", name="single_row"),
)
