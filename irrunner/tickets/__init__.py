"""Tickets: trackers of other makers behind one outbox."""
