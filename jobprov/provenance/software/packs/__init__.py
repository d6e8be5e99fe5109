"""Packs of git objects: their canonical form, those of clients, and the files beside them."""
