"""irrunner: incident-response playbooks for AWS, planned, verified, crash-safe and undoable."""

__version__ = "0.1.0"
