"""Events of every source become one Finding; matching and correlation."""
