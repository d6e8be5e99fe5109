"""Packs of git objects: their canonical form, written and read, those of clients, files beside them."""
