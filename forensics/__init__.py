"""Acquisition, custody, vault, timeline and report. Nothing is here yet."""
