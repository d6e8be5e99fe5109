"""A mirror notices what moved and forgets nothing that was used."""

import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from jobprov.provenance.errors import SoftwareError
from jobprov.provenance.software.mirrors import PINS, FetchReport, Mirror
from jobprov.provenance.software.resolving import (
    ResolvedRef,
    UnresolvedRef,
    resolve,
    resolve_and_pin,
)
from tests.library.git import MakeRepository, Repository


@pytest.fixture
def mirror(production: Repository, tmp_path: Path) -> Mirror:
    mirror = Mirror.open_or_create(
        tmp_path / "mirrors/production.git", str(production.path), is_local=True
    )
    mirror.fetch()
    return mirror


def is_pinned(mirror: Mirror, commit: str) -> bool:
    command = ["git", "-C", mirror.folder, "show-ref", "--verify", "--quiet", f"{PINS}{commit}"]
    return subprocess.run(command, check=False).returncode == 0


def changes_of(report: FetchReport) -> dict[str, str]:
    return {seen.ref: seen.change for seen in report.changes}


def test_first_fetch_reports_every_branch_and_tag_as_created(
    production: Repository, tmp_path: Path
) -> None:
    mirror = Mirror.open_or_create(tmp_path / "m.git", str(production.path), is_local=True)

    report = mirror.fetch()

    created = dict.fromkeys(("refs/heads/main", "refs/tags/light-1", "refs/tags/v1"), "created")
    assert changes_of(report) == created
    assert report.refs == mirror.refs()
    assert report.refs["refs/tags/v1"] == production.git("rev-parse", "v1")


def test_fetch_without_news_reports_nothing(mirror: Mirror) -> None:
    report = mirror.fetch()

    assert report.changes == ()
    assert "refs/tags/v1" in report.refs


def test_annotated_tag_resolves_to_tag_object_commit_and_tree(
    production: Repository, mirror: Mirror
) -> None:
    found = resolve(mirror, "v1")

    assert isinstance(found, ResolvedRef)
    assert (found.ref_kind, found.full_ref) == ("annotated tag", "refs/tags/v1")
    assert found.tag_object == production.git("rev-parse", "v1")
    assert found.commit == production.git("rev-parse", "main")
    assert found.tree == production.git("rev-parse", "main^{tree}")
    assert found.describe == "v1"
    assert found.is_reachable
    assert found.subject == "second"
    assert found.committed_at is not None
    assert found.committed_at.isoformat() == "2024-02-03T00:00:00+00:00"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("light-1", "tag"),
        ("refs/tags/light-1", "tag"),
        ("main", "branch"),
        ("origin/main", "branch"),
        ("refs/heads/main", "branch"),
    ],
)
def test_names_resolve_by_kind(
    production: Repository, mirror: Mirror, name: str, kind: str
) -> None:
    found = resolve(mirror, name)

    assert isinstance(found, ResolvedRef)
    assert found.ref_kind == kind
    assert found.commit == production.git("rev-parse", name.removeprefix("origin/") + "^{commit}")


def test_commit_resolves_by_whole_and_abbreviated_id(
    production: Repository, mirror: Mirror
) -> None:
    commit = production.git("rev-parse", "light-1")

    whole, short = resolve(mirror, commit), resolve(mirror, commit[:9])

    assert isinstance(whole, ResolvedRef)
    assert isinstance(short, ResolvedRef)
    assert whole.commit == short.commit == commit
    assert (whole.ref_kind, whole.full_ref) == ("commit", None)


def test_tag_wins_over_branch_of_the_same_name(production: Repository, mirror: Mirror) -> None:
    production.git("branch", "light-1")
    production.git("branch", "-f", "light-1", "main")
    mirror.fetch()

    found = resolve(mirror, "light-1")

    assert isinstance(found, ResolvedRef)
    assert (found.ref_kind, found.commit) == (
        "tag",
        production.git("rev-parse", "refs/tags/light-1"),
    )


def test_tag_of_a_tag_keeps_both_tag_objects(production: Repository, mirror: Mirror) -> None:
    production.git("tag", "-a", "outer", "-m", "outer", "v1")
    mirror.fetch()

    found = resolve_and_pin(mirror, "outer")

    assert isinstance(found, ResolvedRef)
    assert found.tag_objects == (
        production.git("rev-parse", "outer"),
        production.git("rev-parse", "v1"),
    )


@pytest.mark.parametrize(
    "name",
    [
        "v2",
        "0" * 40,
        "abcdef1",
        "a" * 64,
        "--output=/tmp/x",
        "HEAD",
        "",
        "v1..main",
        "refs/heads/*",
        "v1^{/x}",
        "a" * 2000,
        "x\0y",
        "\ud800",
    ],
)
def test_unknown_and_malformed_names_stay_unresolved_with_a_reason(
    mirror: Mirror, name: str
) -> None:
    found = resolve(mirror, name)

    assert isinstance(found, UnresolvedRef)
    assert found.reason.endswith(".")


def test_name_of_a_blob_stays_unresolved(production: Repository, mirror: Mirror) -> None:
    production.git("tag", "blob-tag", production.git("rev-parse", "main:empty"))
    mirror.fetch()

    found = resolve(mirror, "blob-tag")

    assert isinstance(found, UnresolvedRef)
    assert "blob" in found.reason


def test_moved_tag_is_reported_and_its_old_tag_object_kept(
    production: Repository, mirror: Mirror
) -> None:
    old_tag = production.git("rev-parse", "v1")
    production.write("new", "new")
    production.commit("third")
    production.git("tag", "-f", "-a", "v1", "-m", "moved")

    report = mirror.fetch()

    assert [(seen.ref, seen.old) for seen in report.moved_tags] == [("refs/tags/v1", old_tag)]
    assert changes_of(report)["refs/heads/main"] == "advanced"
    found = resolve(mirror, "v1")
    assert isinstance(found, ResolvedRef)
    assert found.commit == production.git("rev-parse", "main")
    collect_everything(mirror)
    before = resolve(mirror, old_tag)
    assert isinstance(before, ResolvedRef)
    assert before.commit == production.git("rev-parse", "main~1")


def collect_everything(mirror: Mirror) -> None:
    subprocess.run(
        ["git", "-C", mirror.folder, "reflog", "expire", "--expire=now", "--all"], check=True
    )
    subprocess.run(["git", "-C", mirror.folder, "gc", "-q", "--prune=now"], check=True)


@pytest.mark.slow
def test_pinned_commit_survives_force_push_deleted_branch_prune_and_gc(
    production: Repository, mirror: Mirror
) -> None:
    production.git("checkout", "-q", "-b", "work")
    production.write("mine", "mine")
    lost = production.commit("soon lost")
    mirror.fetch()
    found = resolve_and_pin(mirror, "work")
    production.git("checkout", "-q", "main")
    production.git("branch", "-D", "work")
    production.git("tag", "-d", "v1")
    production.git("reset", "-q", "--hard", "light-1")

    report = mirror.fetch()
    collect_everything(mirror)

    assert changes_of(report) == {
        "refs/heads/main": "moved",
        "refs/heads/work": "deleted",
        "refs/tags/v1": "deleted",
    }
    again = resolve(mirror, lost)
    assert isinstance(found, ResolvedRef)
    assert isinstance(again, ResolvedRef)
    assert (again.commit, again.tree, again.is_reachable) == (lost, found.tree, False)
    assert is_pinned(mirror, lost)
    subprocess.run(
        ["git", "-C", mirror.folder, "fsck", "--full", "--strict", "--connectivity-only"],
        check=True,
    )


def test_unpinned_commit_of_a_deleted_branch_is_kept_too(
    production: Repository, mirror: Mirror
) -> None:
    production.git("checkout", "-q", "-b", "work")
    lost = production.commit("never recorded yet")
    mirror.fetch()
    production.git("checkout", "-q", "main")
    production.git("branch", "-D", "work")

    mirror.fetch()
    collect_everything(mirror)

    assert mirror.has_commit(lost)


def test_branch_makes_room_for_a_folder_of_branches(production: Repository, mirror: Mirror) -> None:
    production.git("branch", "topic")
    mirror.fetch()
    production.git("branch", "-D", "topic")
    production.git("branch", "topic/one")

    report = mirror.fetch()

    assert changes_of(report) == {"refs/heads/topic": "deleted", "refs/heads/topic/one": "created"}


def test_commit_that_no_ref_reaches_is_fetched_by_id_where_the_server_allows(
    production: Repository, mirror: Mirror
) -> None:
    production.git("config", "uploadpack.allowAnySHA1InWant", "true")
    production.git("checkout", "-q", "--detach")
    hidden = production.commit("on no branch")
    production.git("checkout", "-q", "main")

    assert not mirror.has_commit(hidden)
    assert mirror.fetch_commit(hidden)

    assert is_pinned(mirror, hidden)


def test_commit_that_the_server_refuses_is_not_here(mirror: Mirror) -> None:
    assert not mirror.fetch_commit("1" * 40)


def test_vanished_upstream_is_an_error_and_leaves_the_mirror_whole(
    production: Repository, mirror: Mirror
) -> None:
    shutil.rmtree(production.path)

    with pytest.raises(SoftwareError, match="ls-remote"):
        mirror.fetch()

    assert isinstance(resolve(mirror, "v1"), ResolvedRef)


def test_fetches_of_one_mirror_wait_for_each_other(production: Repository, mirror: Mirror) -> None:
    production.commit("news")
    reports = []

    def fetch() -> None:
        reports.append(
            Mirror.open_or_create(mirror.folder, str(production.path), is_local=True).fetch()
        )

    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [len(report.changes) for report in reports].count(1) == 1
    assert len(reports) == 4


def test_pin_refuses_what_is_no_commit(production: Repository, mirror: Mirror) -> None:
    with pytest.raises(SoftwareError, match="not a commit"):
        mirror.pin(production.git("rev-parse", "v1"))
    with pytest.raises(SoftwareError, match="not a tag"):
        mirror.pin_tag_object(production.git("rev-parse", "main"))
    with pytest.raises(SoftwareError, match="not a commit"):
        mirror.pin("2" * 40)


def test_shallow_clone_is_refused_rather_than_taken_for_an_empty_repository(
    production: Repository, tmp_path: Path
) -> None:
    shallow = tmp_path / "shallow"
    production.git("clone", "-q", "--depth=1", f"file://{production.path}", str(shallow))
    mirror = Mirror.open_or_create(tmp_path / "fresh.git", str(shallow), is_local=True)

    with pytest.raises(SoftwareError, match="shallow"):
        mirror.fetch()

    assert mirror.refs() == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a repository to another user")
@pytest.mark.parametrize("name", ["up", 'odd "name"\\', "bare.git"])
def test_registered_path_of_another_owner_is_fetched(
    production: Repository, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    production.git(
        "clone", "-q", *(["--bare"] if name == "bare.git" else []), str(production.path), str(path)
    )
    for entry in (path, *path.rglob("*")):
        os.chown(entry, 12345, 12345, follow_symlinks=False)

    report = Mirror.open_or_create(tmp_path / "m.git", str(path), is_local=True).fetch()

    assert "refs/tags/v1" in report.refs


def test_ref_name_beyond_utf_8_is_mirrored(production: Repository, tmp_path: Path) -> None:
    name = "refs/tags/caf\udce9"
    production.git("update-ref", name, "main")
    mirror = Mirror.open_or_create(tmp_path / "m.git", str(production.path), is_local=True)

    assert name in mirror.fetch().refs
    assert mirror.fetch().changes == ()


def test_branch_with_the_beginning_of_another_s_name_is_not_taken_for_it(
    production: Repository, mirror: Mirror
) -> None:
    production.git("branch", "release/one")
    mirror.fetch()

    assert isinstance(resolve(mirror, "release"), UnresolvedRef)
    assert isinstance(resolve(mirror, "release/one"), ResolvedRef)


def test_sha256_repository_is_refused_by_name(
    make_repository: MakeRepository, tmp_path: Path
) -> None:
    upstream = make_repository("upstream")
    shutil.rmtree(upstream.path / ".git")
    upstream.git("init", "-q", "--object-format=sha256")
    upstream.commit("first")
    mirror = Mirror.open_or_create(tmp_path / "m.git", str(upstream.path), is_local=True)

    with pytest.raises(SoftwareError, match="SHA-256"):
        mirror.fetch()


@pytest.mark.slow
def test_many_packs_become_few_with_the_next_fetch(mirror: Mirror, production: Repository) -> None:
    packs = mirror.folder / "objects/pack"

    def run(*words: str, given: str) -> str:
        command = ["git", "-C", str(mirror.folder), *words]
        return subprocess.run(
            command, input=given, capture_output=True, text=True, check=True
        ).stdout

    for number in range(60):
        oid = run("hash-object", "-w", "--stdin", given=str(number))
        run("pack-objects", "-q", "objects/pack/pack", given=oid)
    assert len([*packs.glob("*.pack")]) > 60
    before = mirror.refs()
    production.commit("one more")

    report = mirror.fetch()

    assert len([*packs.glob("*.pack")]) <= 2  # what refs reach, and the rest
    assert changes_of(report) == {"refs/heads/main": "advanced"}
    assert mirror.refs().keys() == before.keys()
    assert mirror.has_commit(before["refs/heads/main"])
