"""Rows of the configurations that jobs ran, and of what decides beside them."""
