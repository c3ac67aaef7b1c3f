"""Auto Scaling groups: what would end or replace an instance by itself."""
