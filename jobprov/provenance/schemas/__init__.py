"""marshmallow schemas of queries, small bodies and answers of the HTTP interface."""
