"""Talk to a jobprov service from Python."""
