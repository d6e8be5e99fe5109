"""Answers about jobs, recipes and productions that are compared."""
