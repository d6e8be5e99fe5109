"""Files that are named: which version is meant, who made it, who read it."""
