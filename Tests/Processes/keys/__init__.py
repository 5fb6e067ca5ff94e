"""Writes under idempotency keys, repeated."""
