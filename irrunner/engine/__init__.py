"""Engines drive Executions: the embedded one, plans and undo."""
