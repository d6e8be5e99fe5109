"""Reads what an art/ROOT file stores about itself: parameter sets, processes, metadata."""
