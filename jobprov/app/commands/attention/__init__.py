"""Commands that list what needs somebody's attention."""
