"""Sums over many jobs, kept where counting takes a moment."""
