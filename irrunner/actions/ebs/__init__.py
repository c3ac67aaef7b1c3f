"""EBS evidence: take the snapshots of an instance, wait for them, copy them into the forensic account."""
