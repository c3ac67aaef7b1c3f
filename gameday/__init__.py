"""Game days: a simulated AWS organisation, attacker moves, faults, and a score of the final state."""
