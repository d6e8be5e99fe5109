"""Commands that write tables for analysis and ask them."""
