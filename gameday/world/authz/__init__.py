"""IAM, evaluated in earnest: identity, session, boundary, service control and resource policies."""
