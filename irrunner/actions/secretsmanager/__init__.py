"""Actions on Secrets Manager: rotation."""
