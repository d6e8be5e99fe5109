"""What is known of jobs beside their rows, when their records are taken and graded."""
