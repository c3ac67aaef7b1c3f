"""The actions, their contract and their registry."""
