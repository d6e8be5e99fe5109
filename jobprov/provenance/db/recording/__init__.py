"""From records to rows: what a job's record means in the tables.

The statements that write it work on sets.
"""
