"""Commands for two jobs, and for recipes."""
