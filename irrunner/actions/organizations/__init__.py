"""Actions on the organisation: service control policies."""
