"""Commands for tasks and samples."""
