"""Tasks and their units."""
