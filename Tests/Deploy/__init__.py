"""Tests of the deployment: see README.md."""
