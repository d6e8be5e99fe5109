"""Background work that waits."""
