"""What an art/ROOT file stores about itself: parameter sets, process history, metadata.

Needs only Python.
"""
