"""Tables for analysis: Parquet files of all that is recorded, for programs that none of us wrote."""
