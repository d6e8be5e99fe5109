"""Names that hold or resemble a text, and lists of names, for the search box and type-ahead."""
