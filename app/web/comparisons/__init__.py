"""Pages of two jobs, and of recipes."""
