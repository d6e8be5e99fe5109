"""The same nouns as pages."""
