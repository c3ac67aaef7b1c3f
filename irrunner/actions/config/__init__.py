"""Actions on AWS Config: its remediations, and its memory of resources."""
