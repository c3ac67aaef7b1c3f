"""Integrity of evidence: custody ledger, vault, export and offline verification, timeline."""
