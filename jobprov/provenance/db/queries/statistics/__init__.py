"""Sums over many jobs."""
