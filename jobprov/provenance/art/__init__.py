"""What art leaves behind: what its ROOT files store about themselves, and how far its logs are.

Needs only Python.
"""
