"""What operators do to a whole database: its schema, keys, statistics and free space."""
