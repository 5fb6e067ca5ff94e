"""Kills, power cuts and disks that fail: what was acknowledged stays."""
