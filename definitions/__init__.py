"""Data of the engine: workflows, plans, directories, calendars; their schema and loader."""
