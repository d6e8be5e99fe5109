"""Names of files in questions and records: `namespace:name`.

Both parts may hold colons (`s3:%2F%2Fb:a.root`).
"""


def splits(text: str) -> list[tuple[str, str]]:
    """Return every (namespace, name) that a text with a colon could mean.

    `:name` is the file without a namespace.
    """
    return [(text[:place], text[place + 1 :]) for place, letter in enumerate(text) if letter == ":"]


def full_name(name: str, namespace: str | None) -> str:
    """Return `namespace:name`, or the name alone where the file has no namespace."""
    return f"{namespace}:{name}" if namespace else name
