"""Rows of the tables for analysis, page by page, and what tells whether they changed."""
