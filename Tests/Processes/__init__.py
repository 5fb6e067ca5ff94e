"""Tests of the running process: see README.md."""
