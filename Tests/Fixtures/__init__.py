"""Stores as earlier commits wrote them: see make.py, and the README.md beside each."""
