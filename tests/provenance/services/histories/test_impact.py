"""What is touched: counted by hand on the small production whose graph is known."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jobprov.archive.opening import open_store
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.errors import BadInputError, LimitError, NotFoundError
from jobprov.provenance.services.code.commit_ranges import resolve_range
from jobprov.provenance.services.code.repositories import register_repository
from jobprov.provenance.services.histories.impact import find_impact, stream_impact
from tests.library.git import git, make_repository
from tests.library.production import Production
from tests.library.records import record_of


def job(number: int, reads: list[str], makes: list[str], host: str, **more: Any) -> dict[str, Any]:
    def files(names: list[str]) -> list[dict[str, Any]]:
        return [
            {"name": name, "checksums": [f"adler32:{sum(name.encode()):08x}"]} for name in names
        ]

    code = [
        {
            "name": "x",
            "repository": "https://git.example.org/x.git",
            "revision": f"{number % 2 + 1}" * 40,
        }
    ]
    defaults = {
        "inputs": files(reads),
        "outputs": files(makes),
        "host": {"hostname": host},
        "software": code,
    }
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
        answer: dict[str, Any] = msgspec.to_builtins(find_impact(connection, filters, **how))
        return answer


def names(answer: dict[str, Any]) -> list[str]:
    return sorted(file["name"] for file in answer["files"])


def test_what_was_made_on_a_host_and_all_that_was_made_from_it_is_touched(
    production: Production,
) -> None:
    answer = found(production, JobFilters(host="hot"))

    assert (answer["jobs"], answer["made"], answer["touched"], answer["touched_jobs"]) == (
        1,
        2,
        4,
        3,
    )
    assert names(answer) == ["log2", "merged", "plot", "reco2"]
    assert sorted(file["name"] for file in answer["files"] if file["is_direct"]) == [
        "log2",
        "reco2",
    ]


def test_direct_stops_at_what_the_jobs_made(production: Production) -> None:
    answer = found(production, JobFilters(host="hot"), is_direct=True)

    assert (answer["touched"], names(answer)) == (2, ["log2", "reco2"])


@pytest.mark.parametrize(
    ("filters", "touched"),
    [
        (JobFilters(file="flux"), ["log2", "merged", "plot", "reco1", "reco2"]),
        (JobFilters(file="reco2"), ["log2", "merged", "plot", "reco2"]),
        (JobFilters(reads="reco2"), ["merged", "plot"]),
        (JobFilters(reads="plot"), []),
        (JobFilters(revision="2" * 40, host="good"), ["merged", "plot", "reco1", "reco5"]),
        (JobFilters(revision="1" * 12), ["log2", "merged", "plot", "reco2"]),
        (JobFilters(host="nowhere"), []),
        (JobFilters(parameter="a.b", value="1"), []),
    ],
)
def test_jobs_are_told_by_input_and_commit(
    production: Production, filters: JobFilters, touched: list[str]
) -> None:
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
        streamed = [file.name for file in stream_impact(connection, JobFilters(file="flux"))]
    assert listed == streamed
    assert len(listed) == 5


def test_cycle_in_what_clients_sent_ends(production: Production) -> None:
    production.record(job(9, ["b"], ["a"], "loop"), job(10, ["a"], ["b"], "loop"))

    assert names(found(production, JobFilters(host="loop"))) == ["a", "b"]


def test_too_many_jobs_to_follow_are_counted_and_their_own_files_listed(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rerun on the same host counts nowhere."""
    for limit in ("MOST_SEEDS", "MOST_FOLLOWED"):
        monkeypatch.setattr(f"jobprov.provenance.services.histories.impact.{limit}", 0)
    monkeypatch.setattr("jobprov.provenance.services.histories.impact._STRETCH", 1)
    hot = JobFilters(host="hot")

    first = found(production, hot, limit=1)
    second = found(production, hot, limit=1, cursor=first["next"])
    assert (first["jobs"], first["made"], first["touched"], first["is_truncated"]) == (
        1,
        None,
        None,
        True,
    )
    assert names(first) + names(second) == ["reco2", "log2"]
    assert second["next"] is None
    with production.database.reading.connect() as connection:
        assert [file.name for file in stream_impact(connection, hot, is_direct=True)] == [
            "reco2",
            "log2",
        ]
        with pytest.raises(LimitError, match="narrow it down"):
            list(stream_impact(connection, hot))


@pytest.fixture
def releases(database: Database, tmp_path: Path) -> Iterator[Production]:
    """Four commits, v1 to v3 tagged on three of them and one on a branch.

    A job ran each, one only named its tag.
    """
    made = Production(database, open_store("memory:"), tmp_path)
    upstream = make_repository(tmp_path / "upstream")
    commits = [git(upstream, "rev-parse", "HEAD").strip()]
    for tag in ("v2", "v3"):
        git(upstream, "commit", "-q", "--allow-empty", "-m", tag)
        git(upstream, "tag", tag)
        commits.append(git(upstream, "rev-parse", "HEAD").strip())
    git(upstream, "checkout", "-q", "-b", "side", "v1")
    git(upstream, "commit", "-q", "--allow-empty", "-m", "side")
    commits.append(git(upstream, "rev-parse", "HEAD").strip())
    made.writer.run(lambda writing: register_repository(writing, "x", str(upstream)))

    def code(**how: str) -> list[dict[str, str]]:
        return [{"name": "x", "repository": str(upstream), **how}]

    made.record(
        *(
            job(n, [], [f"by{n}"], "any", software=code(revision=commit))
            for n, commit in enumerate(commits, 1)
        ),
        job(5, [], ["by tag"], "any", software=code(requested_ref="v2")),
    )
    made.work()
    yield made
    made.close()


@pytest.mark.slow
def test_files_made_between_two_commits_are_found_by_the_mirror(
    releases: Production, tmp_path: Path
) -> None:
    def between(revision: str, **more: Any) -> list[str]:
        with releases.database.reading.connect() as connection:
            filters = resolve_range(
                connection, JobFilters(revision=revision, **more), tmp_path / "git"
            )
            return sorted(file.name for file in find_impact(connection, filters).files)

    assert between("v1..v3") == ["by tag", "by1", "by2", "by3"]
    assert between("v2..v3") == ["by tag", "by2", "by3"]
    assert between("v1..side") == ["by1", "by4"]
    assert between("v1..v3", software="other") == []
    with pytest.raises(BadInputError, match="not an ancestor"):
        between("v3..v1")
    with pytest.raises(BadInputError, match="a range is"):
        between("v1..")
    with pytest.raises(NotFoundError, match="has both v1 and v9"):
        between("v1..v9")


def test_output_of_a_job_that_did_not_succeed_counts_where_something_was_surely_made_of_it(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counts as among versions of a file.

    So it is for what the jobs themselves made, for what was made from it, and in a stream.
    """
    production.record(
        job(11, ["raw11"], ["used", "left behind"], "bad", state="failed"),
        job(12, ["used"], ["of used"], "other"),
        job(13, ["of used"], ["running"], "other", state="running"),
    )
    bad = JobFilters(host="bad")

    answer = found(production, bad)

    assert (answer["jobs"], answer["made"], answer["touched"], answer["touched_jobs"]) == (
        1,
        1,
        2,
        2,
    )
    assert names(answer) == ["of used", "used"]
    assert names(found(production, bad, is_direct=True)) == ["used"]
    monkeypatch.setattr("jobprov.provenance.services.histories.impact.MOST_FOLLOWED", 0)
    assert names(found(production, bad)) == ["used"]


def test_question_without_any_filter_is_refused(production: Production) -> None:
    with pytest.raises(BadInputError, match="Say which jobs"):
        found(production, JobFilters())


def test_pages_go_on_where_they_were_while_more_is_told_of_the_jobs(production: Production) -> None:
    """Their claims are written anew then, under other keys."""
    expected = names(found(production, JobFilters(file="flux")))
    listed, cursor = [], None
    for seen in range(1, 10):
        page = found(production, JobFilters(file="flux"), limit=1, cursor=cursor)
        listed += names(page)
        cursor = page["next"]
        if cursor is None:
            break
        told = record_of(1, witness="history", batch={"id": f"{seen}.0@s"})
        production.record({name: told[name] for name in told if name not in ("inputs", "outputs")})

    assert sorted(listed) == expected
