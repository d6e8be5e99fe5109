"""The limits of the reader, which hostile input runs into. The error names the limit.

All are far above real configurations: the largest known one expands to 28 MB, with 5,220
inclusions, 12 levels of includes and 14 of tables.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one reading.

    Attributes:
        file_bytes: largest single file.
        expanded_bytes: largest text with its includes.
        inclusions: number of `#include` lines that are followed, with repeats.
        include_depth: longest chain of includes.
        nesting: deepest nesting of tables and sequences, in the text and in the evaluated set.
        number_length: characters of one number.
        work: members and elements that references, splices and indices copy or pad, in all. Some
            lines of references can otherwise ask for billions.
        canonical_bytes: longest canonical form.
        written_values: number of values of the set, shared ones at each of their places.
        written_bytes: what these take with their paths, as printed forms, index and JSON have them.
        printed_bytes: longest printed form or JSON, with the places that these add.
    """

    file_bytes: int = 64 << 20
    expanded_bytes: int = 256 << 20
    inclusions: int = 100_000
    include_depth: int = 200
    nesting: int = 1000
    number_length: int = 100_000
    work: int = 2_000_000
    canonical_bytes: int = 64 << 20
    written_values: int = 600_000
    written_bytes: int = 64 << 20
    printed_bytes: int = 64 << 20


DEFAULT_LIMITS = Limits()
