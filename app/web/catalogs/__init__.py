"""The page of a task beside its catalog."""
