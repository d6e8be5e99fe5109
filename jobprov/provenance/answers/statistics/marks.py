"""What changed within a window of time: releases, rules and sites, as marks on its chart."""

from typing import Literal

from msgspec import Struct

from jobprov.provenance.answers.counted import CountedAt

MarkKind = Literal["rule", "release", "site_first", "site_last"]


class Mark(Struct, frozen=True, kw_only=True):
    """A moment at which something changed.

    Attributes:
        letter: what charts and tables call it; A is the most important.
        at: when: of a rule when it was changed, of all others when the job ended, in UTC.
        kind: `rule` (error rules or retries were changed), `release` (its first job), `site_first`
            (the first job of a site), `site_last` (the last one, where others went on).
        name: of the release or site; of a rule what was changed.
        words: what it is, a sentence without its full stop.
        jobs: how many jobs of the window ran the release or ran at the site; of a rule, how many
            jobs of its experiment ended.
        url: the path of the page that lists them; of a rule, that of the rules.
    """

    letter: str
    at: str
    kind: MarkKind
    experiment: str
    name: str
    words: str
    jobs: int
    url: str


class Marks(CountedAt, frozen=True):
    """The marks of a window.

    Attributes:
        marks: the most important first: of each kind the most important, then of each kind the
            next. Those of a rule are the newest, all others those of most jobs.
        left_out: how many more there are.
        ended: how many jobs ended in the window.
    """

    marks: list[Mark]
    left_out: int
    ended: int
