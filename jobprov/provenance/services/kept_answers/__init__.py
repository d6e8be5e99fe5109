"""What counting takes a moment, counted in the background and kept."""
