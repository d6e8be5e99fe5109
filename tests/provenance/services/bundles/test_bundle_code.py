"""The code in a bundle is what really ran: submodules, links, modes, odd names, dirty trees.

Commits that were never pushed are in it as well.
"""

import hashlib
import io
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import delete

from jobprov.provenance.db.tables import Repository
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.background import HANDLERS
from jobprov.provenance.services.bundles.job_bundle import Bundle, build_bundle
from jobprov.provenance.services.code.products import map_product
from jobprov.provenance.services.code.repositories import register_repository
from jobprov.provenance.services.intake.blobs import Upload, grant_possession
from jobprov.provenance.services.recording.jobs import record_jobs
from jobprov.provenance.services.recording.submissions import Submission
from jobprov.provenance.services.reruns.execution import unpack
from jobprov.provenance.services.work.queue import Parts, drain
from tests.library.git import git

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

EXPERIMENT = "toyexp"
ALLOWED = ("-c", "protocol.file.allow=always")
ODD = "a file: ü 'quoted' \\ and\ttab"


class Upstream(NamedTuple):
    """A repository with a submodule in a submodule, and its clones' origin."""

    main: Path
    libraries: tuple[Path, Path]


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    inner, middle, main = (tmp_path / name for name in ("inner", "middle", "main"))
    for folder in (inner, middle, main):
        folder.mkdir()
        git(folder, "init", "--quiet", "--initial-branch=main")
        (folder / f"{folder.name}.txt").write_text(f"{folder.name}\n")
    _commit(inner)
    git(middle, *ALLOWED, "submodule", "--quiet", "add", str(inner), "ext/inner")
    _commit(middle)
    git(main, *ALLOWED, "submodule", "--quiet", "add", str(middle), "middle")
    (main / "bin").mkdir()
    (main / "bin/run").write_text("#!/bin/sh\ncat middle/ext/inner/inner.txt > out.txt\n")
    (main / "bin/run").chmod(0o755)
    (main / ODD).write_text("odd\n")
    (main / "link").symlink_to("bin/run")
    (main / ".gitattributes").write_text("*.txt text eol=crlf export-ignore\n")
    _commit(main)
    git(main, "tag", "--annotate", "--message=first", "v1")
    return Upstream(main, (inner, middle))


def _commit(folder: Path) -> None:
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=all")


def register(parts: Parts, *folders: Path) -> None:
    for folder in folders:
        parts.writer.run(
            lambda writing, folder=folder: register_repository(writing, folder.name, str(folder))
        )


def record(
    parts: Parts,
    number: int,
    repository: Path,
    *,
    blob: bytes = b"",
    others: Sequence[Any] = (),
    **software: Any,
) -> str:
    """Record a job that ran `bin/run` in a checkout of the repository, and used `others`.

    Return its id.
    """
    job_id = f"00000000-0000-4000-8000-{number:012d}"
    body = {
        "schema_version": 1,
        "job_id": job_id,
        "experiment": EXPERIMENT,
        "state": "succeeded",
        "started_at": "2026-11-24T00:00:00Z",
        "ended_at": "2026-11-24T00:00:01Z",
        "command": {"working_directory": "/scratch/code", "argv": ["./bin/run"]},
        "exit": {"code": 0},
        "environment": {"variables": {"PATH": "/usr/bin:/bin"}},
        "software": [
            {
                "name": "code",
                "repository": str(repository),
                "checkout": "/scratch/code",
                **software,
            },
            *others,
        ],
    }
    submission = Submission(
        decode_record(json.dumps(body).encode()), datetime(2026, 11, 24, tzinfo=UTC)
    )
    parts.writer.run(lambda writing: record_jobs(writing, [submission]))
    if blob:
        upload = Upload(EXPERIMENT, parts.store.put(blob).sha256)
        parts.writer.run(lambda writing: grant_possession(writing, [upload]))
    drain(parts, HANDLERS)
    return job_id


def build(parts: Parts, job_id: str) -> Bundle:
    return build_bundle(parts.database, parts.writer, parts.store, job_id)


def unpacked(bundle: Bundle, folder: Path) -> Path:
    return unpack(io.BytesIO(b"".join(bundle.stream())), folder) / "data"


def run(data: Path, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    words = ["dash", str(data / "run.sh"), *options, str(out)]
    return subprocess.run(
        words, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False
    )


def state_of(folder: Path) -> dict[str, Any]:
    """Return content, kind and program bit of everything below a folder."""
    found: dict[str, Any] = {}
    for path in folder.rglob("*"):
        if path.is_symlink():
            found[str(path.relative_to(folder))] = f"-> {path.readlink()}"
        elif path.is_file():
            found[str(path.relative_to(folder))] = (path.read_bytes(), os.access(path, os.X_OK))
    return found


@pytest.mark.slow
def test_submodules_of_any_depth_come_with_the_code_and_outlive_their_servers(
    parts: Parts, upstream: Upstream, tmp_path: Path
) -> None:
    register(parts, upstream.main, *upstream.libraries)
    job_id = record(parts, 1, upstream.main, requested_ref="v1")
    before = build(parts, job_id)

    for folder in (upstream.main, *upstream.libraries, parts.mirrors):
        shutil.rmtree(folder)
    after = build(parts, job_id)

    assert after.etag == before.etag
    data = unpacked(after, tmp_path / "bundle")
    kinds = [line.split("\t")[0] for line in (data / "NEEDS.tsv").read_text().splitlines()[1:]]
    assert "submodule" not in kinds
    plain, from_git = run(data, tmp_path / "plain"), run(data, tmp_path / "git", "--from-git")
    assert (plain.returncode, from_git.returncode) == (0, 0), plain.stderr + from_git.stderr
    assert (tmp_path / "plain/work/out.txt").read_text() == "inner\n"
    assert state_of(tmp_path / "plain/work") == state_of(tmp_path / "git/work")
    assert state_of(tmp_path / "plain/work")["link"] == "-> bin/run"
    assert state_of(tmp_path / "plain/work")[ODD] == (b"odd\n", False)


@pytest.mark.slow
def test_annotated_tag_is_an_object_of_the_pack(
    parts: Parts, upstream: Upstream, tmp_path: Path
) -> None:
    register(parts, upstream.main)
    tag = git(upstream.main, "rev-parse", "v1")
    data = unpacked(
        build(parts, record(parts, 1, upstream.main, requested_ref="v1")), tmp_path / "bundle"
    )

    repository = tmp_path / "again"
    repository.mkdir()
    git(repository, "init", "--quiet")
    with (data / "git/code/objects.pack").open("rb") as pack:
        subprocess.run(
            ["git", "index-pack", "--strict", "--stdin"],
            cwd=repository,
            stdin=pack,
            check=True,
            capture_output=True,
        )
    shutil.copy(data / "git/code/shallow", repository / ".git/shallow")

    assert git(repository, "cat-file", "-t", tag) == "tag"
    assert json.loads((data / "git/code/ref.json").read_text())["tag_object"] == tag
    git(repository, "fsck", "--strict", "--full")


@pytest.mark.slow
def test_submodule_that_nobody_registered_is_a_need(
    parts: Parts, upstream: Upstream, tmp_path: Path
) -> None:
    register(parts, upstream.main)
    bundle = build(parts, record(parts, 1, upstream.main, requested_ref="v1"))

    needs = (unpacked(bundle, tmp_path / "bundle") / "NEEDS.tsv").read_text()
    commit = git(upstream.libraries[1], "rev-parse", "HEAD")

    assert bundle.level == "L0"
    assert f"submodule\tcode/middle {commit}\t" in needs


@pytest.mark.slow
def test_source_of_a_product_lies_beside_the_job_and_takes_no_part_in_it(
    parts: Parts, upstream: Upstream, tmp_path: Path
) -> None:
    """A product whose repository has a submodule that nobody registered.

    The source lacks something, the job does not.
    """
    code, product = upstream.libraries
    git(product, "tag", "v1_0")
    register(parts, code, product)
    said = {
        "name": "core_lib",
        "product": {"manager": "ups", "version": "v1_0", "prefix": "/cvmfs/core_lib/v1_0"},
    }
    (code / "bin").mkdir()
    (code / "bin/run").write_text("#!/bin/sh\ncat inner.txt > out.txt\n")
    (code / "bin/run").chmod(0o755)
    _commit(code)
    job_id = record(parts, 1, code, revision=git(code, "rev-parse", "HEAD"), others=[said])
    before = build(parts, job_id)
    with parts.database.writing.begin() as connection:
        connection.execute(delete(Repository).where(Repository.name == "inner"))

    parts.writer.run(lambda writing: map_product(writing, "core_lib", "middle"))
    drain(parts, HANDLERS)
    after = build(parts, job_id)

    plain, mapped = unpacked(before, tmp_path / "plain"), unpacked(after, tmp_path / "mapped")
    reference = json.loads((mapped / "git/core_lib/ref.json").read_text())
    rows = [line.split("\t") for line in (mapped / "NEEDS.tsv").read_text().splitlines()]
    whys = {row[1]: row[4] for row in rows if row[0] in ("product", "submodule")}
    assert (before.level, after.level) == ("L2", "L2")
    assert reference["commit"] == git(product, "rev-parse", "v1_0")
    assert (reference["evidence"], reference["template"]) == ("inferred", "{version}")
    assert reference["product"] == {"name": "core_lib", "manager": "ups", "version": "v1_0"}
    assert (mapped / "src/core_lib/middle.txt").read_text() == "middle\n"
    assert (
        whys["core_lib v1_0"]
        == "an installed product; git/core_lib has its source, inferred from its version"
    )
    assert any(name.startswith("core_lib/ext/inner ") for name in whys)
    assert not (plain / "src/core_lib").exists()
    assert (mapped / "command/layout.sh").read_bytes() == (plain / "command/layout.sh").read_bytes()
    assert 'jobprov:evidence="inferred"' in (mapped / "prov/prov.provn").read_text()
    assert "jobprov:evidence" not in (plain / "prov/prov.provn").read_text()
    statement = json.loads((mapped / "prov/statement.json").read_text())
    assert [
        found.get("annotations")
        for found in _materials(statement)
        if "gitCommit" in found["digest"]
    ] == [
        None,
        {"evidence": "inferred"},
    ]
    ended = run(mapped, tmp_path / "again")
    assert (ended.returncode, (tmp_path / "again/work/out.txt").read_text()) == (0, "inner\n"), (
        ended.stderr
    )


def _materials(statement: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    return found


@pytest.mark.slow
def test_commit_that_was_never_pushed_is_in_the_bundle(
    parts: Parts, upstream: Upstream, tmp_path: Path
) -> None:
    register(parts, upstream.main, *upstream.libraries)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(upstream.main), "clone")
    (clone / "bin/run").write_text("#!/bin/sh\necho private > out.txt\n")
    _commit(clone)
    commit = git(clone, "rev-parse", "HEAD")
    listed = git(clone, "rev-list", "--objects", "HEAD", "--not", "--remotes")
    ids = "\n".join(line.split(" ")[0] for line in listed.splitlines())
    packed = subprocess.run(
        ["git", "pack-objects", "--stdout", "-q"],
        cwd=clone,
        input=ids.encode(),
        capture_output=True,
        check=True,
    )

    job_id = record(
        parts,
        1,
        upstream.main,
        blob=packed.stdout,
        revision=commit,
        objects_sha256=_sha256(packed.stdout),
    )

    data = unpacked(build(parts, job_id), tmp_path / "bundle")
    ended = run(data, tmp_path / "out")
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "out/work/out.txt").read_text() == "private\n"
    assert json.loads((data / "git/code/ref.json").read_text())["commit"] == commit
    assert (tmp_path / "out/work/middle/ext/inner/inner.txt").read_text() == "inner\n"


def documented_commands() -> str:
    """Return the lines by which docs/reference/bundle.md makes files of a pack."""
    text = (Path(__file__).parents[4] / "docs/reference/bundle.md").read_text()
    block = text.partition("In a copy of `git/<name>/` that may be written:")[2].split("\n\n")[1]
    assert block.startswith("    git init")
    return "set -e\n" + block


def packed_changes(checkout: Path, copy: Path) -> tuple[str, bytes]:
    """Return the tree of a changed checkout, and the pack of what its commit lacks of it.

    They are made in a copy, as the hook does.
    """
    shutil.copytree(checkout, copy, symlinks=True)
    git(copy, "add", "--all")
    tree = git(copy, "write-tree")
    return tree, pack_of(copy, git(copy, "rev-list", "--objects", tree, "--not", "HEAD"))


def pack_of(repository: Path, listed: str) -> bytes:
    """Return the pack of the objects that `git rev-list --objects` listed."""
    ids = "\n".join(line.split(" ")[0] for line in listed.splitlines())
    words = ["git", "pack-objects", "--stdout", "-q", "--window=0"]  # as the hook does
    return subprocess.run(
        words, cwd=repository, input=ids.encode(), capture_output=True, check=True
    ).stdout


@pytest.mark.slow
def test_dirty_tree_is_laid_out_as_it_ran_from_both_forms(
    parts: Parts, upstream: Upstream, tmp_path: Path
) -> None:
    register(parts, upstream.main, *upstream.libraries)
    checkout = tmp_path / "checkout"
    git(tmp_path, "clone", "--quiet", str(upstream.main), "checkout")
    (checkout / "main.txt").write_text("changed\n")
    (checkout / "staged.txt").write_text("staged\n")
    git(checkout, "add", "staged.txt")
    (checkout / "untracked.sh").write_text("untracked\n")
    (checkout / "untracked.sh").chmod(0o755)
    before = state_of(checkout / ".git")
    tree, pack = packed_changes(checkout, tmp_path / "changes")

    job_id = record(
        parts,
        1,
        upstream.main,
        blob=pack,
        revision=git(checkout, "rev-parse", "HEAD"),
        is_dirty=True,
        worktree_tree=tree,
        objects_sha256=_sha256(pack),
    )

    data = unpacked(build(parts, job_id), tmp_path / "bundle")
    for form in ("--from-src", "--from-git"):
        out = tmp_path / form
        assert run(data, out, form).returncode == 0
        laid_out = state_of(out / "work")
        assert laid_out["main.txt"] == (b"changed\n", False)
        assert laid_out["staged.txt"] == (b"staged\n", False)
        assert laid_out["untracked.sh"] == (b"untracked\n", True)
    assert state_of(checkout / ".git") == before

    shutil.copytree(data / "git/code", tmp_path / "copy")
    subprocess.run(
        ["sh", "-c", documented_commands()], cwd=tmp_path / "copy", check=True, capture_output=True
    )
    made = {
        path: state
        for path, state in state_of(tmp_path / "copy/x").items()
        if not path.startswith(".git/")
    }
    assert made == {
        path: state
        for path, state in laid_out.items()
        if not path.startswith(("middle/", "out.txt", ".git/"))
    }


@pytest.mark.slow
def test_dirty_tree_on_a_commit_that_was_never_pushed_is_laid_out_as_it_ran(
    parts: Parts, upstream: Upstream, tmp_path: Path
) -> None:
    register(parts, upstream.main, *upstream.libraries)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(upstream.main), "clone")
    (clone / "main.txt").write_text("private\n")
    _commit(clone)
    commit = git(clone, "rev-parse", "HEAD")
    (clone / "bin/run").write_text("#!/bin/sh\ncat main.txt > out.txt\n")
    git(clone, "add", ".")
    tree = git(clone, "write-tree")
    listed = git(clone, "rev-list", "--objects", tree, commit, "--not", "--remotes")
    pack = pack_of(clone, listed)

    more = {"is_dirty": True, "worktree_tree": tree, "objects_sha256": _sha256(pack)}
    job_id = record(parts, 1, upstream.main, blob=pack, revision=commit, **more)

    data = unpacked(build(parts, job_id), tmp_path / "bundle")
    for form in ("--from-src", "--from-git"):
        ended = run(data, tmp_path / form, form)
        assert ended.returncode == 0, ended.stderr
        assert (tmp_path / form / "work/out.txt").read_text() == "private\n"
    assert json.loads((data / "git/code/ref.json").read_text())["commit"] == commit


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
