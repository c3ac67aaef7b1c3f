"""Actions on DynamoDB tables."""
