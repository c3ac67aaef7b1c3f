"""Actions on CloudTrail: what it records, and putting that back."""
