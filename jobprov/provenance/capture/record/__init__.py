"""A record in the making: its fields, notes and blobs, without secrets, as the service takes it."""
