"""What catalogs know of the files of tasks."""
