"""Answers about one job or file, lists of them, and what names begin with."""
