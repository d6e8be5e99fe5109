"""What an art/ROOT file stores of itself: parameter sets, process history, metadata.

Needs the standard library only.
"""
