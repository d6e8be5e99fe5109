"""Files as questions and records name them.

`namespace:name`, where either part may hold colons too (`s3:%2F%2Fbucket:a.root`).
"""


def splits(text: str) -> list[tuple[str, str]]:
    """Return every (namespace, name) that a text with a colon could mean.

    `:name` is the file without a namespace.
    """
    return [(text[:place], text[place + 1 :]) for place, letter in enumerate(text) if letter == ":"]
