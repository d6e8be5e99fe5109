"""Orders and retries."""
