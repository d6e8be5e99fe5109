"""Rows of the tables for analysis, page by page, and stamps that show whether they changed."""
