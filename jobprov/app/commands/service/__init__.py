"""Commands that start and serve."""
