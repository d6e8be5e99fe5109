"""What a rerun should make, as `outputs/expected.tsv` has it."""

from typing import NamedTuple


class Expected(NamedTuple):
    """A line of `outputs/expected.tsv`: the output that a rerun should make.

    The fields are its columns. What was not recorded is `-`; for `events` and `status` it is empty.
    """

    name: str
    path: str
    size: str
    sha256: str
    comparator: str
    content_digest: str
    events: str
    required: str
    status: str
    checksums: str
    reference: str
