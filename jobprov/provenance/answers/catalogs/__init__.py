"""Answers about files in catalogs, and about events that name files and tasks."""
