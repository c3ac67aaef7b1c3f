"""EC2 actions: one module for each; :mod:`.instances` and :mod:`.groups` are what they look at."""
