"""Calls for bundles of many jobs, and for comparators."""
