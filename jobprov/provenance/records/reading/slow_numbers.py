"""Numbers that are read slowly: those with an exponent of three digits, such as 1e308.

msgspec takes 20 us for one past 1e290, under Python's lock, hundreds of times as long as for others.
A million of them fit into a record, and are a few kB when compressed.
"""

import re

from jobprov.provenance.errors import RecordError

MOST_SLOW = 1000
_SHORTEST_SEARCHED = 16 * 1024
"""What is shorter cannot hold many, and most records are."""
_BEFORE_EXPONENT = b"0123456789."
# Two patterns, as Python searches for the letter they begin with much faster than for either letter
_EXPONENTS = (re.compile(rb"e[+-]?[0-9]{3,}[\s,\]}]"), re.compile(rb"E[+-]?[0-9]{3,}[\s,\]}]"))


def refuse_slow_numbers(body: bytes, what: str) -> None:
    """Check that JSON does not hold many of them.

    Args:
        body: the JSON.
        what: the subject of the error's sentence.

    Raises:
        RecordError: there are more than a thousand.
    """
    if has_many_slow_numbers(body):
        limit = f"at most {MOST_SLOW} numbers may have an exponent of three digits"
        raise RecordError(f"{what} would take too long to read: {limit}.", {"": [limit]})


def has_many_slow_numbers(body: bytes) -> bool:
    """Return whether JSON holds more than a thousand of them."""
    if len(body) < _SHORTEST_SEARCHED:
        return False
    count = 0
    for exponent in _EXPONENTS:
        for match in exponent.finditer(body):
            # Else it ends a word, such as `node001` in a list of hosts
            count += body[match.start() - 1] in _BEFORE_EXPONENT
            if count > MOST_SLOW:
                return True
    return False
