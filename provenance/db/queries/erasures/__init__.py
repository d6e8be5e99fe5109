"""What an erasure of a record or a blob touches."""
