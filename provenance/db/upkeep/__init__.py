"""What operators do to a database as a whole: its schema, its keys, its statistics, its free space."""
