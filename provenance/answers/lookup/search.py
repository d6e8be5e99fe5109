"""What names begin with."""

from msgspec import Struct


class Hit(Struct, frozen=True):
    """Something whose name begins as the text that was searched for.

    Attributes:
        kind: `file`, `job`, `task`, `campaign`, `commit` or `host`.
        text: its name or id.
        detail: what tells it from others, such as its experiment; may be empty.
        url: the path of its page, or of the list of its jobs.
    """

    kind: str
    text: str
    detail: str
    url: str


class Hits(Struct, frozen=True):
    """What a text could mean, exact names first, at most ten of a kind."""

    hits: list[Hit]
