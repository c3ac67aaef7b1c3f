"""Actions on the VPC resolver of Route 53: its DNS Firewall."""
