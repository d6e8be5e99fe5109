"""One job or file by name, and lists of them."""
