"""Actions on AWS WAF."""
