"""Names that hold a text, and lists of names."""

from msgspec import Struct


class Hit(Struct, frozen=True):
    """Something whose name holds the text that was searched for.

    Attributes:
        kind: `file`, `job`, `task`, `campaign`, `stage`, `site`, `host`, `software`, `commit`,
            `module`, `parameter` or `message`.
        text: its name or id; of a message what failures have in common.
        detail: what tells it from others, such as its experiment; may be empty.
        url: the path of its page, or of the list of its jobs.
    """

    kind: str
    text: str
    detail: str
    url: str


class KindCount(Struct, frozen=True):
    """How many names of a kind hold the text.

    Attributes:
        count: how many, counted up to 1,000.
        has_more: whether there are more than that.
    """

    kind: str
    count: int
    has_more: bool


class Hits(Struct, frozen=True):
    """What a text could mean: whole names first, then names that begin with it, then others.

    Attributes:
        text: what was searched for: of a path that nothing holds, its last part.
        counts: of each kind of which there is something.
        note: what was not looked at, and why; None where everything was.
        near: where nothing holds the text, what is spelled much like it: the nearest first, five at
            most.
    """

    hits: list[Hit]
    text: str = ""
    counts: list[KindCount] = []
    note: str | None = None
    near: list[Hit] = []


class RecordedNames(Struct, frozen=True):
    """A page of the names of one kind, such as campaigns, in order.

    Attributes:
        next: the cursor of the next page, None on the last.
    """

    names: list[str]
    next: str | None
