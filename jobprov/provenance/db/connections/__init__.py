"""The two databases, opened: their settings, what reading costs at most, and lost connections."""
