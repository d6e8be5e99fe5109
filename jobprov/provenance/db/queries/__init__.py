"""The read side: questions to the database, a few statements each, never one a row."""
