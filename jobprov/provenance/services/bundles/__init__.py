"""Rerun bundles: planned, built, checked, signed."""
