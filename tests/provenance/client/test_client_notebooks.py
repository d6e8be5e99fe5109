"""What a notebook gets where there is much, nothing, or no pandas; docs/how-to/ask-from-python.md has the rest."""

import json
import sys
from collections.abc import Callable
from importlib.resources import files

import msgspec
import pytest
from msgspec.structs import replace

from jobprov.provenance.answers.failures import ErrorCounts
from jobprov.provenance.answers.histories.lineage import HistoryFile
from jobprov.provenance.answers.lookup.jobs import JobList, JobSummary
from jobprov.provenance.answers.notebooks import Listed, dataframe, directed_graph
from jobprov.provenance.answers.statistics.throughput import (
    Spread,
    Throughput,
    ThroughputGroup,
)
from jobprov.provenance.errors import LimitError, NotFoundError

EXAMPLES = json.loads(files("jobprov.app.api").joinpath("examples.json").read_bytes())
FILES = [HistoryFile(f"{number}.root", "", "toyexp", None) for number in range(3)]


def test_more_jobs_than_asked_for_are_no_table() -> None:
    """A table that were cut without a word would give wrong sums."""
    with pytest.raises(LimitError, match=r"more than 2 jobs.*to_dataframe\(most=") as refusal:
        Listed(iter(FILES), HistoryFile, "jobs").to_dataframe(most=2)

    assert refusal.value.limit == 2


def test_as_many_jobs_as_asked_for_are_a_table() -> None:
    assert len(Listed(iter(FILES), HistoryFile, "jobs").to_dataframe(most=3)) == 3


def test_no_job_is_an_empty_table() -> None:
    """A cell that follows may ask for a column, whatever was found."""
    job = msgspec.convert(EXAMPLES["JobList"], JobList).jobs[0]

    none = Listed(iter(()), JobSummary, "jobs").to_dataframe()
    one = Listed(iter((job,)), JobSummary, "jobs").to_dataframe()

    assert len(none) == 0
    assert list(none.columns) == list(one.columns)
    assert {"task.stage", "exit.code", "ended_at"} <= set(none.columns)


def test_jobs_that_were_not_read_say_how_to_read_them() -> None:
    assert "to_dataframe()" in repr(Listed(iter(()), JobSummary, "jobs"))


def test_production_over_time_becomes_a_table_to_plot() -> None:
    starts = ["2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"]
    groups = [ThroughputGroup("RAL", 3, 3.0, [1.0, 2.0]), ThroughputGroup(None, 1, 1.0, [0.0, 1.0])]
    times = {"start": starts[0], "end": "2026-01-01T02:00:00Z", "step_seconds": 3600}
    jobs = Throughput(
        **times,
        jobs=4,
        by="site",
        measure="jobs",
        starts=starts,
        groups=groups,
        others=None,
        newest_end=None,
    )
    spread = Spread([1.0, None], [2.0, None], [3.0, None], [4.0, None])
    took = ThroughputGroup("RAL", 3, 3.0, [1.0, 0.0], spread=spread)

    table = jobs.to_dataframe()
    medians = replace(jobs, measure="wall_seconds", groups=[took]).to_dataframe()

    assert [at.isoformat().replace("+00:00", "Z") for at in table.index] == starts
    assert list(table["RAL"]) == [1, 2]
    assert list(table["no site"]) == [0, 1]
    assert medians["RAL"].iloc[0] == 2.0
    assert list(medians["RAL"].isna()) == [False, True]


def test_causes_of_failures_become_a_table() -> None:
    counts = msgspec.convert(EXAMPLES["ErrorCounts"], ErrorCounts)

    table = counts.to_dataframe()

    assert len(table) == len(counts.causes) > 0
    assert table["first_at"].dt.tz is not None


@pytest.mark.parametrize(
    ("library", "ask"),
    [("pandas", lambda: dataframe(FILES)), ("networkx", lambda: directed_graph((), ()))],
)
def test_missing_library_is_told_with_the_command(
    library: str, ask: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)

    with pytest.raises(NotFoundError, match=r"pip install 'jobprov\[notebook\]'"):
        ask()
