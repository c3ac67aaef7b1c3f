"""IAM containment: keys off, users quarantined, sessions of roles revoked."""
