"""Rows of the files that jobs consumed and produced, and the edges between them."""
