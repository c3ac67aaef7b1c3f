"""Actions on AWS Network Firewall."""
