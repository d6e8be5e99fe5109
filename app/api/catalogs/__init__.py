"""Calls for the catalog of a task."""
