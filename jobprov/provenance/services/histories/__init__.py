"""Lineage: what made a file, what was made from it, and what that cost."""
