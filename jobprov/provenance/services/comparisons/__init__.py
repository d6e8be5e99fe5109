"""Two jobs side by side, and recipes with more than one result."""
