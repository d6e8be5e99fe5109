"""Productions of every size that tests record, and what they read back."""
