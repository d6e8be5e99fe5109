"""Jobs and files by name, and lists of them."""
