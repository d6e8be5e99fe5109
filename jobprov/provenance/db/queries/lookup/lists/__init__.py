"""Lists of jobs and files: what narrows them, their order, pages and counts."""
