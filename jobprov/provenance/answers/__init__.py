"""What jobprov answers, as types, in the rooms of the use cases: one type an answer.

The same type makes the JSON of a call, its schema in the OpenAPI document, what a template is
given, and what `provenance.client` returns. Fields are encoded in the order in which they are
declared, and always, unless a type says `omit_defaults`. Nothing here knows a database, Flask or
the archive.
"""
