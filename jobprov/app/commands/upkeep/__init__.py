"""Commands that keep archive and database sound."""
