"""A branch, or a tag that moved, is no commit.

Jobs that name it alone are graded so, in whatever order things came.
"""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from jobprov.archive.opening import open_store
from jobprov.provenance.db.connections.engines import Database, open_database
from jobprov.provenance.db.recording.job_rows import INDEX_VERSION
from jobprov.provenance.db.recording.writing import gap_document
from jobprov.provenance.db.tables import RefObservation, WorkItem
from jobprov.provenance.db.upkeep.migrating import upgrade
from jobprov.provenance.records.gaps.gaps import Gap
from jobprov.provenance.services.background import HANDLERS
from jobprov.provenance.services.bundles.job_bundle import build_bundle
from jobprov.provenance.services.code.products import map_product
from jobprov.provenance.services.code.repositories import find_repository, register_repository
from jobprov.provenance.services.code.resolutions import fetch_repository
from jobprov.provenance.services.ledger.chains import read_chain
from jobprov.provenance.services.recording.rederivation import enqueue_derivation
from jobprov.provenance.services.reruns.execution import unpack
from jobprov.provenance.services.upkeep.adopted_segments import adopt_segment
from jobprov.provenance.services.upkeep.database_rebuild import rebuild_database
from jobprov.provenance.services.work.notices import REFRESH
from jobprov.provenance.services.work.queue import Parts, drain
from jobprov.provenance.services.writing import Writer
from tests.library.git import git, make_repository
from tests.library.logical_tables import differences
from tests.library.production import Production, shown_job, tables_at
from tests.library.records import job_id, record_of
from tests.library.statements import statements_sent

CODE = "software-ambiguous"


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    """Return a repository with one commit, on the branch main and at the annotated tag v1."""
    return make_repository(tmp_path / "upstream")


@pytest.fixture
def production(database: Database, upstream: Path, tmp_path: Path) -> Iterator[Production]:
    """Yield a production that knows the repository, on both databases."""
    opened = Production(database, open_store(f"file:{tmp_path / 'archive'}"), tmp_path)
    opened.writer.run(lambda writing: register_repository(writing, "x", str(upstream)))
    yield opened
    opened.close()


def parts_of(production: Production) -> Parts:
    return Parts(
        production.database, production.writer, production.store, production.folder / "git"
    )


def fetch(production: Production) -> None:
    with production.database.reading.connect() as connection:
        repository = find_repository(connection, "x")
    fetch_repository(parts_of(production), repository)


def record(production: Production, number: int, upstream: Path, **software: Any) -> None:
    """Record a job that lacks nothing but, perhaps, its commit."""
    software = {"name": "code", "repository": str(upstream), **software}
    production.record(
        record_of(number, software=[software], configurations=[], inputs=[], seeds=[{"value": 1}])
    )


def move(upstream: Path, tag: str = "v1") -> str:
    """Commit once more and have the tag name the new commit; return the object that it names."""
    count = int(git(upstream, "rev-list", "--count", "HEAD"))
    (upstream / "reco.fcl").write_text(f"process_name: reco{count}\n")
    git(upstream, "commit", "-q", "-a", "-m", f"commit {count}")
    git(upstream, "tag", "-f", "-a", tag, "-m", f"release {count}")
    return git(upstream, "rev-parse", tag)


def shown(production: Production, number: int) -> dict[str, Any]:
    with production.database.reading.connect() as connection:
        return shown_job(connection, production.store, job_id(number))


def words(production: Production, number: int) -> list[str]:
    """Return what the gap says of a job; its page, its row and its grade say the same."""
    job = shown(production, number)
    [row] = [row for row in production.tables()["jobs"] if row["uuid"] == job_id(number)]
    stored = gap_document([Gap(**gap) for gap in job["gaps"]])[0]
    assert (row["level"], row["gap_set_id"]) == (job["level"], (stored,))
    found = [gap["message"] for gap in job["gaps"] if gap["code"] == CODE]
    assert job["level"] == (0 if found else 2)
    return found


def check_rebuilding(production: Production, folder: Path) -> None:
    """Compare with a database that is made anew from the archive alone."""
    url = f"sqlite:///{folder / 'rebuilt.db'}"
    production.seal()
    rebuild_database(production.store, url)
    assert differences(production.tables(), tables_at(url)) == []


@pytest.mark.slow
@pytest.mark.parametrize("ref", ["main", "refs/heads/main", "origin/main"])
@pytest.mark.parametrize("is_resolved_first", [False, True])
def test_branch_alone_is_no_known_code(
    production: Production, upstream: Path, tmp_path: Path, ref: str, *, is_resolved_first: bool
) -> None:
    record(production, 1, upstream, requested_ref=ref)
    if is_resolved_first:
        production.work()
    record(production, 2, upstream, requested_ref=ref)
    production.work()

    commit = git(upstream, "rev-parse", "main")[:12]
    said = (
        f"code: the record names branch {ref} and no commit; "
        f"{commit} is what it meant when the service looked."
    )
    assert words(production, 1) == words(production, 2) == [said]
    check_rebuilding(production, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("revision", [40, 12])
def test_commit_in_the_record_is_known_code_whatever_ref_it_names(
    production: Production, upstream: Path, tmp_path: Path, revision: int
) -> None:
    commit = git(upstream, "rev-parse", "main")[:revision]
    record(production, 1, upstream, requested_ref="main", revision=commit)
    record(production, 2, upstream, requested_ref="v1", revision=commit)
    record(production, 3, upstream, requested_ref=commit)
    production.work()
    move(upstream)
    fetch(production)
    production.work()
    record(production, 4, upstream, requested_ref="v1", revision=commit, describe="later")
    production.work()

    assert [words(production, number) for number in (1, 2, 3, 4)] == [[], [], [], []]
    check_rebuilding(production, tmp_path)


@pytest.mark.slow
def test_branch_that_is_given_as_the_revision_is_no_commit(
    production: Production, upstream: Path
) -> None:
    record(production, 1, upstream, revision="main")
    record(production, 2, upstream, revision="v1")
    production.work()
    assert (len(words(production, 1)), words(production, 2)) == (1, [])

    move(upstream)
    fetch(production)
    production.work()

    assert len(words(production, 2)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("ref", ["v1", "refs/tags/v1"])
def test_tag_that_moved_is_no_known_code_before_and_after(
    production: Production, upstream: Path, tmp_path: Path, ref: str
) -> None:
    first, commit = git(upstream, "rev-parse", "v1"), git(upstream, "rev-parse", "main")
    record(production, 1, upstream, requested_ref=ref)
    production.work()
    assert words(production, 1) == []

    second = move(upstream)
    fetch(production)
    record(production, 2, upstream, requested_ref=ref)  # shares what was resolved before
    # Is resolved after
    record(production, 3, upstream, requested_ref=ref, describe="another entry")
    production.work()

    said = (
        f"code: the record names tag {ref} and no commit; "
        f"{{}} is what it meant when the service looked"
    )
    old = f"{said.format(commit[:12])}; it was seen to name {second[:12]} as well."
    new = (
        f"{said.format(git(upstream, 'rev-parse', 'main')[:12])}; "
        f"it was seen to name {first[:12]} as well."
    )
    assert words(production, 1) == words(production, 2) == [old]
    assert words(production, 3) == [new]
    assert shown(production, 1)["software"][0]["moved_ref"] == [first, second]
    check_rebuilding(production, tmp_path)


@pytest.mark.slow
def test_tag_that_moved_between_two_resolutions_is_seen_by_the_second(
    production: Production, upstream: Path, tmp_path: Path
) -> None:
    """Also where nothing comes of that resolution: the fetch before it has told."""
    record(production, 1, upstream, requested_ref="v1")
    production.work()
    move(upstream)
    record(production, 2, upstream, requested_ref="v9")
    production.work()

    assert len(words(production, 1)) == 1
    production.record(record_of(3, software=[]))
    check_rebuilding(production, tmp_path)


@pytest.mark.slow
def test_tag_that_moved_before_any_record_named_the_repository(
    production: Production, upstream: Path, tmp_path: Path
) -> None:
    production.record(record_of(9, software=[]))
    fetch(production)
    move(upstream)
    fetch(production)

    record(production, 1, upstream, requested_ref="v1")
    production.work()

    assert len(words(production, 1)) == 1
    check_rebuilding(production, tmp_path)


@pytest.mark.slow
def test_tag_that_goes_and_comes_back_elsewhere_has_moved(
    production: Production, upstream: Path
) -> None:
    record(production, 1, upstream, requested_ref="v1")
    production.work()
    git(upstream, "tag", "-d", "v1")
    fetch(production)
    production.work()
    assert words(production, 1) == []

    move(upstream)
    fetch(production)
    production.work()

    assert len(words(production, 1)) == 1


@pytest.mark.slow
def test_tag_that_moved_while_the_mirror_was_lost_has_moved(
    production: Production, upstream: Path
) -> None:
    record(production, 1, upstream, requested_ref="v1")
    production.work()
    shutil.rmtree(production.folder / "git")
    move(upstream)

    fetch(production)
    production.work()

    assert len(words(production, 1)) == 1


@pytest.mark.slow
def test_other_tags_and_repositories_that_move_concern_nobody(
    production: Production, upstream: Path, tmp_path: Path
) -> None:
    other = make_repository(tmp_path / "other")
    production.writer.run(lambda writing: register_repository(writing, "other", str(other)))
    record(production, 1, upstream, requested_ref="v1")
    record(production, 2, other, requested_ref="v1")
    git(upstream, "tag", "v2")
    record(production, 3, upstream, requested_ref="v2")
    production.work()
    move(upstream, "v2")
    fetch(production)
    production.work()

    assert [len(words(production, number)) for number in (1, 2, 3)] == [0, 0, 1]


@pytest.mark.slow
def test_tag_that_moves_every_night_has_its_jobs_looked_at_a_few_times(
    production: Production, upstream: Path, tmp_path: Path
) -> None:
    record(production, 1, upstream, requested_ref="v1")
    production.work()
    looks = []
    for _ in range(7):
        move(upstream)
        fetch(production)
        with production.database.reading.connect() as connection:
            looks.append(
                len(connection.execute(select(WorkItem.key).where(WorkItem.kind == REFRESH)).all())
            )
        production.work()
    record(production, 2, upstream, requested_ref="v1")

    assert looks == [1, 1, 1, 1, 0, 0, 0]
    assert words(production, 1)[0].endswith(" and others as well.")
    assert words(production, 1) == words(production, 2)
    check_rebuilding(production, tmp_path)


@pytest.mark.slow
def test_moves_that_stand_in_the_ledger_of_another_experiment_count(
    production: Production, upstream: Path, tmp_path: Path
) -> None:
    """Also where a rebuilding reads that ledger last."""
    software = [{"name": "code", "repository": str(upstream), "requested_ref": "v1"}]
    whole = {"software": software, "configurations": [], "inputs": [], "seeds": [{"value": 1}]}
    production.record(record_of(1, experiment="zeus", **whole))
    production.work()
    move(upstream)
    production.record(
        record_of(2, experiment="argo", **{**whole, "software": [{**software[0], "name": "other"}]})
    )
    production.record(record_of(3, experiment="argo", **whole))
    production.work()

    assert [len(words(production, number)) for number in (1, 2, 3)] == [1, 1, 1]
    check_rebuilding(production, tmp_path)


@pytest.mark.slow
def test_inferred_products_keep_their_grade_when_the_tag_moved(
    production: Production, upstream: Path, tmp_path: Path
) -> None:
    production.writer.run(lambda writing: map_product(writing, "art", "x"))
    product = {"name": "art", "product": {"manager": "ups", "version": "v1"}}
    production.record(
        record_of(1, software=[product], configurations=[], inputs=[], seeds=[{"value": 1}])
    )
    production.work()
    before = shown(production, 1)
    move(upstream)
    fetch(production)
    production.work()

    after = shown(production, 1)
    assert (after["level"], after["gaps"]) == (before["level"], before["gaps"])
    assert after["level"] == 2
    assert len(after["software"][0]["moved_ref"]) == 2
    check_rebuilding(production, tmp_path)


@pytest.mark.slow
def test_revision_with_the_commit_closes_the_gap(
    production: Production, upstream: Path, tmp_path: Path
) -> None:
    record(production, 1, upstream, requested_ref="main")
    production.work()
    assert len(words(production, 1)) == 1

    entry = {
        "name": "code",
        "repository": str(upstream),
        "revision": git(upstream, "rev-parse", "main"),
    }
    told = record_of(1, software=[entry], configurations=[], inputs=[], seeds=[{"value": 1}])
    production.record(told, reason="the commit")
    production.work()

    assert words(production, 1) == []
    check_rebuilding(production, tmp_path)


@pytest.mark.slow
def test_segments_adopted_one_by_one_give_the_same(
    production: Production, upstream: Path, tmp_path: Path
) -> None:
    """Each segment is adopted by a process that knows nothing of those before.

    The segments cut the story anywhere.
    """
    url = f"sqlite:///{tmp_path / 'second.db'}"
    upgrade(url)
    record(production, 1, upstream, requested_ref="v1")
    record(production, 2, upstream, requested_ref="main")
    production.work()
    move(upstream)
    fetch(production)
    record(production, 3, upstream, requested_ref="v1")
    production.work()
    production.most_entries = 1
    production.seal()
    database = open_database(url)

    for reader in read_chain(production.store, "nova"):
        adopting = Writer(database, production.store)
        adopting.run(lambda writing, reader=reader: adopt_segment(writing, reader))  # type: ignore[misc]
        adopting.close()
    second = Production(database, production.store, tmp_path / "second")
    drain(parts_of(second), HANDLERS)

    assert [words(second, number) for number in (1, 2, 3)] == [
        words(production, number) for number in (1, 2, 3)
    ]
    assert all(words(second, number) for number in (1, 2, 3))
    second.close()
    database.dispose()


@pytest.mark.slow
def test_jobs_that_an_earlier_version_graded_otherwise_are_graded_again(
    production: Production, upstream: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(
            "jobprov.provenance.services.recording.resolved_code.ambiguous_code", lambda *_: {}
        )
        earlier.setattr("jobprov.provenance.db.recording.job_rows.INDEX_VERSION", INDEX_VERSION - 1)
        record(production, 1, upstream, requested_ref="main")
        production.work()
        assert words(production, 1) == []

    assert enqueue_derivation(parts_of(production))
    production.work()

    assert len(words(production, 1)) == 1


@pytest.mark.slow
def test_bundle_has_the_grade_of_the_job_and_says_why(
    production: Production, upstream: Path, tmp_path: Path
) -> None:
    record(production, 1, upstream, requested_ref="v1")
    production.work()
    before = build_bundle(production.database, production.writer, production.store, job_id(1))
    move(upstream)
    fetch(production)
    production.work()

    after = build_bundle(production.database, production.writer, production.store, job_id(1))

    [said] = words(production, 1)
    data = unpack(io.BytesIO(b"".join(after.stream())), tmp_path / "bundle") / "data"
    assert [(before.level, before.number), (after.level, after.number)] == [("L2", 1), ("L0", 2)]
    assert said.removeprefix("code: ").removesuffix(".") in (data / "NEEDS.tsv").read_text()
    assert (data / "src/code/reco.fcl").read_text() == "process_name: reco\n"


@pytest.mark.slow
def test_recording_asks_nothing_more_where_each_entry_names_its_commit(
    production: Production, upstream: Path
) -> None:
    commit = git(upstream, "rev-parse", "main")
    record(production, 1, upstream, requested_ref="v1", revision=commit)
    record(production, 2, upstream, requested_ref="v1")
    production.work()
    engine = production.database.writing

    with statements_sent(engine) as with_commit:
        record(production, 3, upstream, requested_ref="v1", revision=commit)
    with statements_sent(engine) as without_commit:
        record(production, 4, upstream, requested_ref="v1")

    table = RefObservation.__tablename__
    assert [sql for sql, _ in with_commit if table in sql] == []
    assert len([sql for sql, _ in without_commit if table in sql]) == 1
