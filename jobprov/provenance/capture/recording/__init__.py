"""One job from its first moment to its record."""
