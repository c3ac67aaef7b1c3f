"""The forensic workstation: an instance in the forensic account, on which acquired disks are examined."""
