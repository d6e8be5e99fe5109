"""Answers about two jobs side by side."""

from typing import Any

from msgspec import Struct, field

from jobprov.provenance.answers.lookup.jobs import HostOfJob, TaskOfJob


class Place(Struct, frozen=True, omit_defaults=True):
    """The line of a file that wrote a value.

    Attributes:
        url: the path of the page of that file, at the line.
    """

    file: str
    line: int
    url: str | None = None


class Difference(Struct, frozen=True, omit_defaults=True):
    """One thing that is not the same in both jobs.

    Attributes:
        kind: `changed`, `added` (only in the second), `removed` (only in the first) or `renamed`.
        key: what differs: `physics.producers.smear.width`, `toyexp.commit`, `TZ`.
        before: in the first job; text is shortened past 4,000 characters.
        after: in the second.
        key_before: its key in the first, where that is another: a table was renamed, an element
            moved.
        part: the step whose configuration or the file whose fact it is, where the facet has
            several.
        origin_before: line of the file that set it in the first.
        origin_after: line of the file that set it in the second.
        lines: of a text, a unified difference.
        lines_omitted: how many of its lines are left out.
        url_before: page of what is meant, in the first.
        url_after: page of what is meant, in the second.
    """

    kind: str
    key: str
    before: Any = None
    after: Any = None
    key_before: str | None = None
    part: str | None = None
    origin_before: Place | None = None
    origin_after: Place | None = None
    lines: list[str] = field(default_factory=list)
    lines_omitted: int = 0
    url_before: str | None = None
    url_after: str | None = None


class Facet(Struct):
    """One side of the two jobs.

    Attributes:
        name: a word for addresses: `code`, `configuration`.
        title: for people.
        matters: `recipe` (decides what comes out), `result` (what came out) or `circumstance`
            (differs in any two runs).
        said: how many facts both jobs say here; where that is 0, nothing was compared.
        count: how many differences there are.
        differences: the first of them.
        omitted: how many are left out.
        problems: why something could not be compared.
        notes: what is the same although it looks different.
    """

    name: str
    title: str
    matters: str
    said: int
    count: int
    differences: list[Difference]
    omitted: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class ComparedJob(Struct, frozen=True):
    """One of the two jobs of a comparison, in short, with times in UTC (`2026-11-24T16:00:00Z`).

    Attributes:
        state: `running`, `succeeded`, `failed`, `killed` or `lost`.
        batch_id: `cluster.process@schedd`.
        code: name and version of the first software entry, as people call it.
        received_at: when its first record came.
        url: the path of its page.
        recipe_id, result_id: None where its record does not say enough.
        output: the full name of the first output that it kept; None where it kept none.
    """

    job_id: str
    experiment: str
    state: str
    batch_id: str | None
    task: TaskOfJob
    code: str | None
    received_at: str
    started_at: str | None
    host: HostOfJob
    url: str
    recipe_id: str | None
    result_id: str | None
    output: str | None


class JobComparison(Struct, frozen=True):
    """What differs from job `a` to job `b`.

    Attributes:
        first_line: a sentence for people.
        is_same: all that decides the outcome is the same, and all that came out.
        facets: what decides the outcome first.
    """

    a: ComparedJob
    b: ComparedJob
    first_line: str
    is_same: bool
    facets: list[Facet]
