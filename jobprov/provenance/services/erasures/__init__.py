"""What is erased on purpose, and logs that expire."""
