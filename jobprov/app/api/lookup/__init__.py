"""Calls for one job or file, and lists of them."""
