"""The job record: msgspec structs, checks, merge of witnesses, identity. Knows no database."""
