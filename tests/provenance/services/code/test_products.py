"""An operator says which repository a product is built from.

Its version then names a commit, which is said to be inferred.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import update

from jobprov.provenance.answers.histories.impact import InferredCode
from jobprov.provenance.db.connections.engines import Database, open_database
from jobprov.provenance.db.queries.code import products
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.db.queries.work.queue import WaitingItem, waiting_items
from jobprov.provenance.db.recording.configurations.physics_variables import NO_PHYSICS_VARIABLES
from jobprov.provenance.db.tables import WorkItem
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.background import HANDLERS
from jobprov.provenance.services.code.products import list_products, map_product, unmap_product
from jobprov.provenance.services.code.repositories import find_repository, register_repository
from jobprov.provenance.services.code.resolutions import fetch_repository
from jobprov.provenance.services.comparisons.jobs import compare_jobs
from jobprov.provenance.services.histories.impact import find_impact
from jobprov.provenance.services.recording.jobs import record_jobs
from jobprov.provenance.services.recording.submissions import Submission
from jobprov.provenance.services.search.search import search
from jobprov.provenance.services.upkeep.database_rebuild import rebuild_database
from jobprov.provenance.services.upkeep.sealing import seal_all
from jobprov.provenance.services.work.queue import Parts, drain
from tests.library.databases import on_sqlite_alone
from tests.library.git import git
from tests.library.logical_tables import differences, logical_tables
from tests.library.production import shown_job
from tests.library.statements import constant_statements_sent


def job_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def commit(folder: Path, text: str, tag: str) -> str:
    """Commit a file with this text under an annotated tag; return the commit."""
    (folder / "code.txt").write_text(text)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", f"--message={text}")
    git(folder, "tag", "--annotate", f"--message={text}", tag)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    """Return a repository with the tags v1_2_3 and v2_0_0, and a branch v3_0_0."""
    folder = tmp_path / "upstream"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder, "one", "v1_2_3")
    commit(folder, "two", "v2_0_0")
    git(folder, "branch", "v3_0_0")
    return folder


def ups(version: str | None = "v1_2_3", name: str = "art", **fields: Any) -> dict[str, Any]:
    product = {"manager": "ups", "version": version, "prefix": f"/cvmfs/products/{name}/{version}"}
    return {"name": name, "evidence": "declared", "product": product, **fields}


def spack(version: str) -> dict[str, Any]:
    return {
        "name": "art",
        "evidence": "declared",
        "product": {"manager": "spack", "version": version},
    }


def record(parts: Parts, number: int, *software: dict[str, Any]) -> Any:
    body = {
        "schema_version": 1,
        "job_id": job_id(number),
        "experiment": "toyexp",
        "state": "succeeded",
        "started_at": "2026-11-24T00:00:00Z",
        "command": {"argv": ["art"]},
        "exit": {"code": 0},
        "environment": {"variables": {}},
        "software": list(software),
        "outputs": [{"name": f"f{number}.root", "size_bytes": number, "sha256": f"{number:064x}"}],
    }
    submission = Submission(decode_record(msgspec.json.encode(body)), datetime.now(UTC))
    return parts.writer.run(lambda writing: record_jobs(writing, [submission]))


def register(parts: Parts, upstream: Path, name: str = "art-suite") -> None:
    parts.writer.run(lambda writing: register_repository(writing, name, str(upstream)))


def map_it(parts: Parts, repository: str = "art-suite", name: str = "art", **how: str) -> int:
    return parts.writer.run(lambda writing: map_product(writing, name, repository, **how))


def shown(parts: Parts, number: int = 1) -> dict[str, Any]:
    with parts.database.reading.connect() as connection:
        return shown_job(connection, parts.store, job_id(number))


def resolved(parts: Parts, number: int = 1) -> dict[str, Any]:
    found: dict[str, Any] = shown(parts, number)["software"][0]["resolution"]
    return found


def listed(parts: Parts) -> dict[str, Any]:
    with parts.database.reading.connect() as connection:
        products: dict[str, Any] = msgspec.to_builtins(list_products(connection))
    return products


def waiting(parts: Parts) -> list[WaitingItem]:
    with parts.database.reading.connect() as connection:
        return [item for item in waiting_items(connection) if item.kind == "resolve"]


@pytest.mark.slow
@pytest.mark.parametrize("is_mapped_first", [True, False])
def test_version_becomes_an_inferred_commit_whichever_comes_first(
    parts: Parts, upstream: Path, *, is_mapped_first: bool
) -> None:
    register(parts, upstream)
    if is_mapped_first:
        map_it(parts)
    record(parts, 1, ups())
    before = shown(parts)
    if not is_mapped_first:
        assert map_it(parts) == 1

    drain(parts, HANDLERS)

    job = shown(parts)
    found = job["software"][0]["resolution"]
    assert found["commit"] == git(upstream, "rev-parse", "v1_2_3^{commit}")
    assert found["requested_ref"] == "v1_2_3"
    assert found["evidence"] == "inferred"
    assert found["product"] == {"name": "art", "manager": "ups", "version": "v1_2_3"}
    assert found["template"] == "{version}"
    assert parts.store.size(found["pack_sha256"]) > 0
    assert waiting(parts) == []
    assert [gap["code"] for gap in job["gaps"]] == [gap["code"] for gap in before["gaps"]]
    assert (job["grade"], job["summary"]["grade"]) == (before["grade"], before["grade"])
    [installed] = [gap for gap in job["gaps"] if gap["code"] == "software-installed"]
    assert "its source is held, inferred from its version" in installed["message"]


@pytest.mark.slow
def test_one_template_serves_both_managers(parts: Parts, upstream: Path) -> None:
    register(parts, upstream)
    record(parts, 1, ups("v2_0_0"))
    record(parts, 2, spack("2.0.0"))
    map_it(parts, template="v{underscored}")

    drain(parts, HANDLERS)

    assert (
        resolved(parts, 1)["commit"]
        == resolved(parts, 2)["commit"]
        == git(upstream, "rev-parse", "v2_0_0^{commit}")
    )


@pytest.mark.slow
def test_map_of_a_manager_goes_before_one_of_any(parts: Parts, upstream: Path) -> None:
    register(parts, upstream)
    record(parts, 1, ups("v2_0_0"))
    record(parts, 2, spack("2.0.0"))
    map_it(parts, template="{version}")
    map_it(parts, manager="spack", template="v{underscored}")

    drain(parts, HANDLERS)

    assert resolved(parts, 1)["template"] == "{version}"
    assert resolved(parts, 2)["template"] == "v{underscored}"
    assert [(row["manager"], row["resolved"]) for row in listed(parts)["mapped"]] == [
        (None, 1),
        ("spack", 1),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("said", ["repository", "revision", "requested_ref"])
def test_entry_that_says_which_code_it_was_is_left_alone(
    parts: Parts, upstream: Path, said: str
) -> None:
    register(parts, upstream)
    words = {
        "repository": "https://git.example.org/other.git",
        "revision": "a" * 40,
        "requested_ref": "v9",
    }
    record(parts, 1, ups(**{said: words[said]}))

    count = map_it(parts)
    record(parts, 2, ups(**{said: words[said]}), ups())
    drain(parts, HANDLERS)

    assert count == 0
    assert resolved(parts, 1) is None
    assert [bool(entry["resolution"]) for entry in shown(parts, 2)["software"]] == [False, True]


@pytest.mark.parametrize("version", ["v9_9_9", "v3_0_0"], ids=["unknown", "a branch"])
@pytest.mark.slow
def test_version_without_a_tag_stays_a_gap_that_says_so_and_is_tried_again(
    parts: Parts, upstream: Path, version: str
) -> None:
    register(parts, upstream)
    map_it(parts)
    record(parts, 1, ups(version))
    drain(parts, HANDLERS)
    [installed] = [gap for gap in shown(parts)["gaps"] if gap["code"] == "software-installed"]
    [item] = waiting(parts)
    [row] = listed(parts)["mapped"]

    git(upstream, "tag", version, "v1_2_3^{commit}")
    fetch_repository(parts, _found(parts))
    past = datetime.now(UTC) - timedelta(seconds=1)
    parts.writer.run(
        lambda writing: writing.connection.execute(update(WorkItem).values(due_at=past))
    )
    drain(parts, HANDLERS)

    assert f"art-suite has no tag {version}" in installed["message"]
    assert item.attempts == 1
    assert row["unresolved"] == [
        {"version": version, "ref": version, "reason": f"art-suite has no tag {version}"}
    ]
    assert resolved(parts)["commit"] == git(upstream, "rev-parse", "v1_2_3^{commit}")


def _found(parts: Parts) -> Any:
    with parts.database.reading.connect() as connection:
        return find_repository(connection, "art-suite")


def test_version_that_is_no_name_of_a_tag_is_told(parts: Parts, upstream: Path) -> None:
    register(parts, upstream)
    map_it(parts)
    record(parts, 1, ups("v1..2"))
    record(parts, 2, {"name": "art", "product": {"manager": "ups"}})

    drain(parts, HANDLERS)

    [row] = listed(parts)["mapped"]
    assert [(entry["version"], entry["ref"]) for entry in row["unresolved"]] == [
        ("", None),
        ("v1..2", None),
    ]
    assert "does not say its version" in row["unresolved"][0]["reason"]
    assert "makes no name of a tag" in row["unresolved"][1]["reason"]
    assert resolved(parts) is None


@pytest.mark.slow
def test_mapping_again_corrects_what_was_inferred(
    parts: Parts, upstream: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet", "--initial-branch=main")
    right = commit(other, "right", "v1_2_3")
    register(parts, upstream)
    register(parts, other, "right")
    map_it(parts)
    record(parts, 1, ups())
    drain(parts, HANDLERS)

    counts = [map_it(parts), map_it(parts, "right")]
    drain(parts, HANDLERS)

    assert counts == [0, 1]
    assert resolved(parts)["commit"] == right


@pytest.mark.slow
def test_mapping_again_tries_at_once_what_failed(parts: Parts, upstream: Path) -> None:
    register(parts, upstream)
    record(parts, 1, spack("1.2.3"))
    map_it(parts)
    drain(parts, HANDLERS)
    assert len(waiting(parts)) == 1

    map_it(parts, template="v{underscored}")
    drain(parts, HANDLERS)

    assert waiting(parts) == []
    assert resolved(parts)["commit"] == git(upstream, "rev-parse", "v1_2_3^{commit}")


@pytest.mark.slow
def test_unmapping_stops_inferring_and_keeps_what_was_inferred(
    parts: Parts, upstream: Path
) -> None:
    register(parts, upstream)
    map_it(parts)
    record(parts, 1, ups())
    drain(parts, HANDLERS)

    removed = parts.writer.run(lambda writing: unmap_product(writing, "art"))
    record(parts, 2, ups("v2_0_0"))
    drain(parts, HANDLERS)

    assert removed == 1
    assert resolved(parts, 1)["evidence"] == "inferred"
    assert resolved(parts, 2) is None
    with pytest.raises(NotFoundError, match="No product art is mapped"):
        parts.writer.run(lambda writing: unmap_product(writing, "art"))


@on_sqlite_alone
@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("v1", "same tag for every version"),
        ("{name}", "same tag for every version"),
        ("{major}-{version}", "placeholder {major}"),
        ("{}{version}", "placeholder {}"),
        ("{version", "not a template"),
        ("{version!r}", "stand alone"),
        ("{version:>9}", "stand alone"),
        ("{version.__class__}", "placeholder"),
        ("v {version}", "no name of a tag"),
        ("-{version}", "no name of a tag"),
    ],
)
def test_bad_template_is_refused_with_its_field(
    parts: Parts, upstream: Path, template: str, why: str
) -> None:
    register(parts, upstream)

    with pytest.raises(BadInputError) as refused:
        map_it(parts, template=template)

    assert why in refused.value.fields["ref"][0]
    assert listed(parts)["mapped"] == []


def test_product_of_an_unknown_repository_is_refused(parts: Parts) -> None:
    with pytest.raises(NotFoundError, match="No repository art-suite is registered"):
        map_it(parts)


def test_list_shows_what_nobody_mapped_and_how_many_lists_name_it(
    parts: Parts, upstream: Path
) -> None:
    register(parts, upstream)
    record(parts, 1, ups(), ups("v1", "root"))
    record(parts, 2, ups("v2_0_0"), ups("v1", "root"), ups("v2", "root"))
    record(parts, 3, ups("v1", "geant4"), spack("1"))
    map_it(parts, manager="ups")

    found = listed(parts)

    assert [(row["name"], row["manager"], row["lists"], row["versions"]) for row in found["unmapped"]] == [
        ("root", "ups", 2, 2), ("art", "spack", 1, 1), ("geant4", "ups", 1, 1)
    ]  # fmt: skip
    [mapped] = found["mapped"]
    assert (mapped["name"], mapped["lists"], mapped["versions"], mapped["resolved"]) == (
        "art",
        2,
        2,
        0,
    )
    assert {row["reason"] for row in mapped["unresolved"]} == {"not tried yet"}


def test_list_of_products_asks_once_why_they_are_not_resolved(parts: Parts, upstream: Path) -> None:
    register(parts, upstream)
    names = ["art", "geant4", "larsoft", "root"]
    for name in names:
        map_it(parts, name=name)
    record(parts, 1, *(ups(name=name) for name in names))

    with constant_statements_sent() as statements:
        products = listed(parts)

    assert [row["name"] for row in products["mapped"]] == names
    assert {row["unresolved"][0]["reason"] for row in products["mapped"]} == {"not tried yet"}
    assert len([sql for sql in statements if WorkItem.__tablename__ in sql]) == 1


@pytest.mark.slow
def test_impact_jobs_and_search_find_the_inferred_commit_and_say_so(
    parts: Parts, upstream: Path
) -> None:
    register(parts, upstream)
    map_it(parts)
    record(parts, 1, ups())
    record(parts, 2, ups("v2_0_0"))
    drain(parts, HANDLERS)
    wanted = git(upstream, "rev-parse", "v1_2_3^{commit}")

    with parts.database.reading.connect() as connection:
        by_commit = find_impact(connection, JobFilters(revision=wanted[:12]))
        by_tag = find_impact(connection, JobFilters(revision="v1_2_3"))
        other = find_impact(connection, JobFilters(revision="f" * 40))
        [hit] = search(connection, wanted).hits

    assert [file.name for file in by_commit.files] == ["f1.root"]
    assert by_commit.inferred == [InferredCode("art", "v1_2_3", "v1_2_3", wanted)]
    assert by_tag == by_commit
    assert (other.jobs, other.inferred) == (0, [])
    assert (hit.text, hit.detail) == (wanted, "art-suite v1_2_3 inferred")


@pytest.mark.slow
def test_comparison_of_two_jobs_shows_the_inferred_commits(parts: Parts, upstream: Path) -> None:
    register(parts, upstream)
    map_it(parts)
    record(parts, 1, ups())
    record(parts, 2, ups("v2_0_0"))
    drain(parts, HANDLERS)

    with parts.database.reading.connect() as connection:
        comparison = compare_jobs(
            connection,
            parts.store,  # type: ignore[arg-type]
            job_id(1),
            job_id(2),
            deciding=NO_PHYSICS_VARIABLES,
        )

    [found_products] = [facet for facet in comparison.facets if facet.name == "products"]
    differing = {row.key: (row.before, row.after) for row in found_products.differences}
    tags = [git(upstream, "rev-parse", f"{tag}^{{commit}}") for tag in ("v1_2_3", "v2_0_0")]
    assert differing["art.inferred commit"] == tuple(tags)


@pytest.mark.slow
def test_moved_tag_of_a_product_is_noted(parts: Parts, upstream: Path) -> None:
    register(parts, upstream)
    map_it(parts)
    record(parts, 1, ups())
    drain(parts, HANDLERS)
    before = resolved(parts)
    first = git(upstream, "rev-parse", "v1_2_3")
    git(upstream, "tag", "--force", "--annotate", "--message=again", "v1_2_3", "v2_0_0^{commit}")

    fetch_repository(parts, _found(parts))

    assert resolved(parts) == before
    assert shown(parts)["software"][0]["moved_ref"] == [first, git(upstream, "rev-parse", "v1_2_3")]


@pytest.mark.slow
def test_records_whose_entries_are_all_resolved_ask_nothing_of_products(
    parts: Parts, upstream: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(parts, upstream)
    map_it(parts)
    record(parts, 1, ups())
    drain(parts, HANDLERS)
    record(parts, 2, ups())  # this writer has met it resolved

    def fail(*_: Any) -> Any:
        raise AssertionError("products are asked for")

    monkeypatch.setattr(products, "fetch", fail)
    record(parts, 3, ups())

    with pytest.raises(AssertionError, match="products are asked for"):
        record(parts, 4, ups("v2_0_0"))


@pytest.mark.slow
def test_rebuilt_database_has_the_inferred_commits_without_a_map(
    parts: Parts, upstream: Path, tmp_path: Path, database: Database
) -> None:
    register(parts, upstream)
    map_it(parts)
    record(parts, 1, ups())
    record(parts, 2, ups("v9"))
    map_it(parts, template="v{underscored}")
    drain(parts, HANDLERS)
    record(parts, 3, ups(), ups("v2_0_0"))
    drain(parts, HANDLERS)
    seal_all(database, parts.writer, parts.store)  # type: ignore[arg-type]
    url = f"sqlite:///{tmp_path / 'rebuilt.db'}"

    rebuild_database(parts.store, url)  # type: ignore[arg-type]

    again = open_database(url)
    with database.reading.connect() as first, again.reading.connect() as second:
        assert differences(logical_tables(first), logical_tables(second)) == []
        job = shown_job(second, parts.store, job_id(1))
        assert list_products(second).mapped == []
    again.dispose()
    assert job["software"][0]["resolution"] == resolved(parts)
    assert job["gaps"] == shown(parts)["gaps"]


@pytest.mark.slow
def test_rebuilt_database_knows_which_submodules_are_lacking(
    parts: Parts, upstream: Path, tmp_path: Path, database: Database
) -> None:
    inner = tmp_path / "inner"
    git(tmp_path, "clone", "--quiet", str(upstream), "inner")
    git(
        upstream,
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        str(inner),
        "inner",
    )
    git(upstream, "commit", "--quiet", "--message=with a submodule")
    register(parts, upstream)
    record(parts, 1, {"name": "code", "repository": str(upstream), "requested_ref": "main"})
    drain(parts, HANDLERS)
    seal_all(database, parts.writer, parts.store)  # type: ignore[arg-type]
    url = f"sqlite:///{tmp_path / 'rebuilt.db'}"

    rebuild_database(parts.store, url)  # type: ignore[arg-type]

    again = open_database(url)
    with database.reading.connect() as first, again.reading.connect() as second:
        assert differences(logical_tables(first), logical_tables(second)) == []
    again.dispose()
    assert "submodule-missing" in {gap["code"] for gap in shown(parts)["gaps"]}


@pytest.mark.parametrize("is_registered_first", [True, False])
@pytest.mark.slow
def test_repository_of_the_name_of_a_product_needs_no_map(
    parts: Parts, upstream: Path, *, is_registered_first: bool
) -> None:
    if is_registered_first:
        register(parts, upstream, "art")
    record(parts, 1, ups())
    record(parts, 2, spack("2.0.0"))
    if not is_registered_first:
        register(parts, upstream, "art")

    drain(parts, HANDLERS)

    for number, tag, template in ((1, "v1_2_3", "{version}"), (2, "v2_0_0", "v{underscored}")):
        found = resolved(parts, number)
        assert found["commit"] == git(upstream, "rev-parse", f"{tag}^{{commit}}")
        assert (found["evidence"], found["requested_ref"]) == ("inferred", tag)
        assert found["template"] == template
    [row] = listed(parts)["mapped"]
    assert (row["name"], row["is_by_name"], row["versions"], row["resolved"]) == ("art", True, 2, 2)
    assert waiting(parts) == []


@pytest.mark.slow
def test_address_names_a_product_where_it_is_the_only_one(
    parts: Parts, upstream: Path, tmp_path: Path
) -> None:
    register(parts, upstream, "one")
    record(parts, 1, ups(name="Upstream"))
    drain(parts, HANDLERS)
    assert resolved(parts)["name"] == "one"

    fork = tmp_path / "fork" / "upstream"
    git(tmp_path, "clone", "--quiet", str(upstream), str(fork))
    register(parts, fork, "two")
    record(parts, 2, ups("v2_0_0", name="upstream"))
    drain(parts, HANDLERS)
    assert resolved(parts, 2) is None


@pytest.mark.slow
def test_hyphens_of_a_repository_are_underscores_of_ups(parts: Parts, upstream: Path) -> None:
    register(parts, upstream, "art-root-io")
    record(parts, 1, ups(name="art_root_io"))

    drain(parts, HANDLERS)

    assert resolved(parts)["product"]["name"] == "art_root_io"


@pytest.mark.slow
def test_map_goes_before_a_repository_of_the_same_name(
    parts: Parts, upstream: Path, tmp_path: Path
) -> None:
    fork = tmp_path / "fork"
    git(tmp_path, "clone", "--quiet", str(upstream), str(fork))
    right = commit(fork, "other", "v8")
    register(parts, upstream, "art")
    register(parts, fork, "fork")
    record(parts, 1, ups("v8"))
    drain(parts, HANDLERS)
    [installed] = [gap for gap in shown(parts)["gaps"] if gap["code"] == "software-installed"]
    assert "with the name of repository art: art has no tag v8 or 8" in installed["message"]

    map_it(parts, "fork")
    drain(parts, HANDLERS)

    assert resolved(parts)["commit"] == right
