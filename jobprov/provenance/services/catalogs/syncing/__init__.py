"""Comparing a declared task with its catalog, part by part."""
