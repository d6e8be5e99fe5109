"""What is touched: counted by hand on the small production whose graph is known."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ledger_story import Production, record_of

from archive.opening import open_store
from provenance.db.engines import Database
from provenance.db.queries.jobs import JobFilters
from provenance.errors import BadInputError
from provenance.services.find_impact import find_impact, stream_impact


def job(number: int, reads: list[str], makes: list[str], host: str, **more: Any) -> dict[str, Any]:
    def files(names: list[str]) -> list[dict[str, Any]]:
        return [{"name": name, "checksums": [f"adler32:{sum(name.encode()):08x}"]} for name in names]

    code = [{"name": "x", "repository": "https://git.example.org/x.git", "revision": f"{number % 2 + 1}" * 40}]
    defaults = {"inputs": files(reads), "outputs": files(makes), "host": {"hostname": host}, "software": code}
    return record_of(number, configurations=[], **{**defaults, **more})


@pytest.fixture
def production(database: Database, tmp_path: Path) -> Iterator[Production]:
    made = Production(database, open_store("memory:"), tmp_path)
    made.record(
        job(1, ["raw1", "flux"], ["reco1"], "good"),
        job(2, ["raw2", "flux"], ["reco2", "log2"], "hot"),
        job(3, ["reco1", "reco2"], ["merged"], "good"),
        job(4, ["merged"], ["plot"], "good"),
        job(5, ["raw5"], ["reco5"], "good"),
        job(6, ["raw2", "flux"], ["copy2"], "hot", rerun_of=record_of(2)["job_id"]),
    )
    yield made
    made.close()


def found(production: Production, filters: JobFilters, **how: Any) -> dict[str, Any]:
    with production.database.reading.connect() as connection:
        return find_impact(connection, filters, **how)


def names(answer: dict[str, Any]) -> list[str]:
    return sorted(file["name"] for file in answer["files"])


def test_what_was_made_on_a_host_and_all_that_was_made_from_it_is_touched(production: Production) -> None:
    answer = found(production, JobFilters(host="hot"))

    assert (answer["jobs"], answer["made"], answer["touched"], answer["touched_jobs"]) == (1, 2, 4, 3)
    assert names(answer) == ["log2", "merged", "plot", "reco2"]
    assert sorted(file["name"] for file in answer["files"] if file["is_direct"]) == ["log2", "reco2"]


def test_direct_stops_at_what_the_jobs_made(production: Production) -> None:
    answer = found(production, JobFilters(host="hot"), is_direct=True)

    assert (answer["touched"], names(answer)) == (2, ["log2", "reco2"])


@pytest.mark.parametrize(
    ("filters", "touched"),
    [
        (JobFilters(file="flux"), ["log2", "merged", "plot", "reco1", "reco2"]),
        (JobFilters(revision="2" * 40, host="good"), ["merged", "plot", "reco1", "reco5"]),
        (JobFilters(revision="1" * 12), ["log2", "merged", "plot", "reco2"]),
        (JobFilters(host="nowhere"), []),
        (JobFilters(parameter="a.b", value="1"), []),
    ],
)
def test_jobs_are_told_by_input_and_commit(production: Production, filters: JobFilters, touched: list[str]) -> None:
    assert names(found(production, filters)) == touched


def test_files_come_page_by_page_and_as_a_stream(production: Production) -> None:
    listed, cursor = [], None
    while True:
        page = found(production, JobFilters(file="flux"), limit=2, cursor=cursor)
        listed += [file["name"] for file in page["files"]]
        cursor = page["next"]
        if cursor is None:
            break

    with production.database.reading.connect() as connection:
        streamed = [file["name"] for file in stream_impact(connection, JobFilters(file="flux"))]
    assert listed == streamed
    assert len(listed) == 5


def test_cycle_in_what_clients_sent_ends(production: Production) -> None:
    production.record(job(9, ["b"], ["a"], "loop"), job(10, ["a"], ["b"], "loop"))

    assert names(found(production, JobFilters(host="loop"))) == ["a", "b"]


def test_question_without_any_filter_is_refused(production: Production) -> None:
    with pytest.raises(BadInputError, match="Say which jobs"):
        found(production, JobFilters())
