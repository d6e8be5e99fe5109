"""What is known of jobs that are named: by id, in short, and in full."""
