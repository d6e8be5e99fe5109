"""Calls for lineage."""
