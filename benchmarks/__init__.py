"""Benchmarks of the service beside the limit that raw SQL on the same schema sets.

Run them with `python -m benchmarks`.
"""
