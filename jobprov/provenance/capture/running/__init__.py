"""The command while it runs: its start and end, its output streams, its memory and open files."""
