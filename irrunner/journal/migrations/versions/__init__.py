"""Revisions of the store's schema; one that was shipped is never edited."""
