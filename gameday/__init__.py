"""Game days: a simulated AWS organisation, attacker moves and faults, and a score of the cloud's final state."""
