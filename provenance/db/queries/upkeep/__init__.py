"""What sealing, adopting, checking and rebuilding have to know of the database."""
