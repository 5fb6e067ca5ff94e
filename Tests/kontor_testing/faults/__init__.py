"""Faults that tests cause: on disks, on networks, and in the midst of a load."""
