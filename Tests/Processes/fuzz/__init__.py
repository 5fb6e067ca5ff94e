"""Requests that are malformed, oversized, unknown or noise."""
