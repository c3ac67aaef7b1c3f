"""The sans-IO state machine: events in, commands out."""
