"""The append-only, hash-chained record of runs, and its stores."""
