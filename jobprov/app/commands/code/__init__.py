"""Commands for repositories and products."""
