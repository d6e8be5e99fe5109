"""Commands of what needs somebody."""
