"""Actions of Security Hub."""
