"""Calls for tasks."""
