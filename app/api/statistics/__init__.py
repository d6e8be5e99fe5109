"""Calls for sums over many jobs."""
