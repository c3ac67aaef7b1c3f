"""Event intake, runs, approvals and the console over HTTP. Nothing is here yet."""
