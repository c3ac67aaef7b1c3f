"""Actions of GuardDuty."""
