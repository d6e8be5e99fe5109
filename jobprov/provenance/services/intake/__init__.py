"""What comes in before a record does: tokens, tickets, excerpts, blobs, ends of logs."""
