"""Actions of SNS."""
