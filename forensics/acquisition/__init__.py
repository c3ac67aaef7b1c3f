"""Acquisition of disks: many volumes in one step, each by the way that its key allows."""
