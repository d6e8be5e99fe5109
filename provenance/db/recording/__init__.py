"""From records to rows: what a job's record means in the tables, and the set-wise statements that write it."""
