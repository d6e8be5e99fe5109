"""From bytes to a typed record or document, or to errors that name the field."""
