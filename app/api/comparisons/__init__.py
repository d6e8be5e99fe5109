"""Calls for two jobs, and for recipes."""
