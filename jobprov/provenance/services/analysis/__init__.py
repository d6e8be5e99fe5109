"""Tables for analysis: all that is recorded as Parquet files, for other programs to read."""
