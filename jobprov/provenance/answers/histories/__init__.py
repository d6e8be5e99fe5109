"""Answers to questions about the histories of files."""
