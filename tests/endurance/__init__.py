"""A service that is killed again and again under load, and what has to be left of it."""
