"""Tables, queries, and translation between rows and records."""
