"""Actions on RDS and Aurora: snapshots as evidence, network, exposure, the master password."""
