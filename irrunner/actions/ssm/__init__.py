"""Actions of Systems Manager."""
