"""File catalogs beside the jobs: what they know, and where they differ."""
