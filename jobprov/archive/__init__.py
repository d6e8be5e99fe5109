"""Bytes and digests; knows nothing of jobs."""
