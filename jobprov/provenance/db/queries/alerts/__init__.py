"""Alerts that were found, and what rules look at."""
