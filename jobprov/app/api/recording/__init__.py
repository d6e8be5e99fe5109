"""Calls that send records, blobs and events."""
