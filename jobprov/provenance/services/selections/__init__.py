"""Files for clients of catalogs: selected, described, and followed to their relatives."""
