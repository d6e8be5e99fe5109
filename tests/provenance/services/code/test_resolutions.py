"""Code that records name is found out in real repositories, and pinned.

It stays what it was when tags move.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jobprov.provenance.db.queries.work.queue import waiting_items
from jobprov.provenance.errors import BadInputError, ConflictError
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.background import HANDLERS
from jobprov.provenance.services.code.repositories import find_repository, register_repository
from jobprov.provenance.services.code.resolutions import fetch_repository
from jobprov.provenance.services.recording.jobs import record_jobs
from jobprov.provenance.services.recording.submissions import Submission
from jobprov.provenance.services.work.queue import Parts, drain
from tests.library.databases import on_sqlite_alone
from tests.library.git import git
from tests.library.production import shown_job

JOB = "00000000-0000-4000-8000-000000000001"


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    """Return a repository with one commit at the annotated tag v1."""
    folder = tmp_path / "upstream"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "code.txt").write_text("one\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=one")
    git(folder, "tag", "--annotate", "--message=first", "v1")
    return folder


def record(parts: Parts, repository: str, **software: Any) -> None:
    body = {
        "schema_version": 1,
        "job_id": JOB,
        "experiment": "toyexp",
        "state": "succeeded",
        "started_at": "2026-11-24T00:00:00Z",
        "software": [{"name": "code", "repository": repository, **software}],
    }
    submission = Submission(decode_record(msgspec.json.encode(body)), datetime.now(UTC))
    parts.writer.run(lambda writing: record_jobs(writing, [submission]))


def shown(parts: Parts) -> dict[str, Any]:
    with parts.database.reading.connect() as connection:
        return shown_job(connection, parts.store, JOB)


def register(parts: Parts, upstream: Path) -> None:
    parts.writer.run(lambda writing: register_repository(writing, "code", str(upstream)))


def codes(job: dict[str, Any]) -> set[str]:
    return {gap["code"] for gap in job["gaps"]}


@pytest.mark.slow
@pytest.mark.parametrize("is_registered_first", [True, False])
def test_ref_becomes_commit_tree_and_pack_whichever_comes_first(
    parts: Parts, upstream: Path, *, is_registered_first: bool
) -> None:
    if is_registered_first:
        register(parts, upstream)
    record(parts, str(upstream), requested_ref="v1")
    if not is_registered_first:
        assert "software-unresolved" in codes(shown(parts))
        register(parts, upstream)

    drain(parts, HANDLERS)

    job = shown(parts)
    found = job["software"][0]["resolution"]
    assert found["commit"] == git(upstream, "rev-parse", "v1^{commit}")
    assert found["tree"] == git(upstream, "rev-parse", "v1^{tree}")
    assert found["tag_object"] == git(upstream, "rev-parse", "v1")
    assert parts.store.size(found["pack_sha256"]) > 0
    assert "software-unresolved" not in codes(job)
    assert job["summary"]["grade"] == f"L{job['level']}"


@pytest.mark.slow
def test_observed_commit_keeps_the_tag_that_was_asked_for(parts: Parts, upstream: Path) -> None:
    register(parts, upstream)
    record(
        parts, str(upstream), requested_ref="v1", revision=git(upstream, "rev-parse", "v1^{commit}")
    )

    drain(parts, HANDLERS)

    found = shown(parts)["software"][0]["resolution"]
    assert found["ref_kind"] == "annotated tag"
    assert found["tag_object"] == git(upstream, "rev-parse", "v1")


@pytest.mark.slow
def test_observed_commit_counts_where_the_tag_means_another_one(
    parts: Parts, upstream: Path
) -> None:
    ran = git(upstream, "rev-parse", "v1^{commit}")
    (upstream / "code.txt").write_text("two\n")
    git(upstream, "commit", "--quiet", "--all", "--message=two")
    git(upstream, "tag", "--force", "--annotate", "--message=again", "v1")
    register(parts, upstream)
    record(parts, str(upstream), requested_ref="v1", revision=ran)

    drain(parts, HANDLERS)

    assert shown(parts)["software"][0]["resolution"]["commit"] == ran


@pytest.mark.slow
def test_moved_tag_is_noted_and_takes_nothing_away(parts: Parts, upstream: Path) -> None:
    record(parts, str(upstream), requested_ref="v1")
    register(parts, upstream)
    drain(parts, HANDLERS)
    before = shown(parts)["software"][0]["resolution"]
    first = git(upstream, "rev-parse", "v1")
    (upstream / "code.txt").write_text("two\n")
    git(upstream, "commit", "--quiet", "--all", "--message=two")
    git(upstream, "tag", "--force", "--annotate", "--message=again", "v1")

    with parts.database.reading.connect() as connection:
        report = fetch_repository(parts, find_repository(connection, "code"))

    software = shown(parts)["software"][0]
    assert [seen.ref for seen in report.moved_tags] == ["refs/tags/v1"]
    assert software["resolution"] == before
    assert software["moved_ref"] == [first, git(upstream, "rev-parse", "v1")]


def test_unknown_ref_stays_a_gap_and_is_tried_again_later(parts: Parts, upstream: Path) -> None:
    register(parts, upstream)
    record(parts, str(upstream), requested_ref="v9")

    drain(parts, HANDLERS)

    assert "software-unresolved" in codes(shown(parts))
    with parts.database.reading.connect() as connection:
        [waiting] = waiting_items(connection)
    assert "v9" in (waiting.last_error or "")
    assert waiting.attempts == 1


def test_repository_that_nobody_registered_is_never_fetched(parts: Parts, upstream: Path) -> None:
    record(parts, str(upstream), requested_ref="v1")

    assert drain(parts, HANDLERS) == 0

    assert not parts.mirrors.exists()
    assert "software-unresolved" in codes(shown(parts))


def test_registering_again_changes_nothing_and_other_names_are_refused(
    parts: Parts, upstream: Path
) -> None:
    register(parts, upstream)
    register(parts, upstream)

    with pytest.raises(ConflictError, match="registered as code"):
        parts.writer.run(lambda writing: register_repository(writing, "other", str(upstream)))


@on_sqlite_alone
@pytest.mark.parametrize(
    "url", ["http://example.org/x.git", "ext::sh -c true", "git://example.org/x", "file:///etc"]
)
def test_address_that_may_not_be_fetched_is_refused(parts: Parts, url: str) -> None:
    with pytest.raises(BadInputError):
        parts.writer.run(lambda writing: register_repository(writing, "bad", url))
