"""What failures of jobs were: classes by versioned rules, and counts of causes."""
