"""The page of a configuration."""
