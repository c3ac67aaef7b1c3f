"""Actions on IAM Identity Center: assignments and permission sets."""
