"""A record in the making: its fields, notes and blobs, without secrets, and as the service takes it."""
