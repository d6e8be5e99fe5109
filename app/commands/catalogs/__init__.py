"""Commands for file catalogs."""
