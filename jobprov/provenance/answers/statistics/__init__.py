"""Sums over many jobs. Times are ISO 8601."""
