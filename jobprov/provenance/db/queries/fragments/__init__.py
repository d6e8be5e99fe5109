"""Pieces of statements that many questions share."""
