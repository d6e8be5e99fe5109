"""What the search finds: names that hold a text, by kind, each with how many there are."""
