"""Actions on KMS keys."""
