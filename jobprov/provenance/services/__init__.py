"""Use cases, one a file; a use case owns its transaction."""
