"""Reading logs and exit codes: rules as data, error classes."""
