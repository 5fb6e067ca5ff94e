"""Kontor beside what else one could take: see compare.py."""
