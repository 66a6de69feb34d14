"""Server-rendered Vietnamese pages on the same application services.

A first slice: sign in, own work and review queue, all tasks, one assignment with its next actions.
Every action is a plain form; there is no script.
"""
