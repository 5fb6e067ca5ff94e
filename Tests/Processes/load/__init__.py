"""Loads that are measured: the generator itself, overload, soak."""
