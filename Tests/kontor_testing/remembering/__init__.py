"""Clients that remember what they were told, and the judge who compares that with what is found."""
