"""What a notebook gets where there is much, nothing, or no pandas; docs/how-to/ask-from-python.md has the rest."""

import sys
from collections.abc import Callable

import pytest

from jobprov.provenance.answers.histories.lineage import HistoryFile
from jobprov.provenance.answers.notebooks import JobsFound, dataframe, directed_graph
from jobprov.provenance.errors import LimitError, NotFoundError

FILES = [HistoryFile(f"{number}.root", "", "toyexp", None) for number in range(3)]


def test_more_jobs_than_asked_for_are_no_table() -> None:
    """A table that were cut without a word would give wrong sums."""
    with pytest.raises(LimitError, match=r"more than 2 jobs.*to_dataframe\(most=") as refusal:
        JobsFound(iter(FILES)).to_dataframe(most=2)  # type: ignore[arg-type]

    assert refusal.value.limit == 2


def test_as_many_jobs_as_asked_for_are_a_table() -> None:
    assert len(JobsFound(iter(FILES)).to_dataframe(most=3)) == 3  # type: ignore[arg-type]


def test_no_job_is_an_empty_table() -> None:
    assert len(JobsFound(iter(())).to_dataframe()) == 0


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
