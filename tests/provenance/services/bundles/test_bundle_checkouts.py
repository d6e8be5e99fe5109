"""A job in a checkout is recorded by the hook, bundled, and rerun when the checkout is gone.

Its program reads the files and asks git; the rerun has to give the same answers, byte by byte.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.background import HANDLERS
from jobprov.provenance.services.bundles.job_bundle import build_bundle
from jobprov.provenance.services.code.repositories import register_repository
from jobprov.provenance.services.intake.blobs import Upload, grant_possession, settle_blob
from jobprov.provenance.services.recording.jobs import record_jobs
from jobprov.provenance.services.recording.submissions import Submission
from jobprov.provenance.services.reruns.execution import unpack
from jobprov.provenance.services.work.queue import Parts, drain
from tests.library.compiled_hook import put_compiled_hook
from tests.library.git import Repository, git
from tests.library.hook import Runner, entry_of
from tests.library.production import shown_job

pytestmark = [
    pytest.mark.slow,
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
]

PROGRAM = """#!/bin/sh
exec >answers.txt 2>&1
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
git describe --tags --always --dirty --long
git describe --always
git rev-parse HEAD --abbrev-ref HEAD
git rev-parse --short HEAD
git log -1 --format='%H %an %s'
git rev-list --count HEAD
git status --short --branch -uno
git clone -q . ../clone && git -C ../clone describe --tags --always && rm -rf ../clone
find . -name .git -prune -o -name answers.txt -prune -o -type f -print | LC_ALL=C sort |
  while read -r file; do cksum "$file"; done
find . -name .git -prune -o -type l -print | LC_ALL=C sort |
  while read -r file; do echo "$file $(readlink "$file")"; done
find . -name .git -prune -o -type f -perm -100 -print | LC_ALL=C sort
exit 0
"""


@pytest.fixture(scope="module")
def hook(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(put_compiled_hook(tmp_path_factory.mktemp("hook") / "job-end-hook.pyz"))


@pytest.fixture
def checkout(tmp_path: Path) -> Repository:
    """A checkout with a tag some commits back, and a program that asks git."""
    checkout = Repository(tmp_path / "site/code")
    checkout.write("ask.sh", PROGRAM).chmod(0o755)
    checkout.write("lib/tool.py", "x = 1\n")
    checkout.write(".gitignore", "answers.txt\n")
    checkout.commit("first")
    checkout.git("tag", "-a", "v1.0", "-m", "release")
    for number in range(4):
        checkout.write("lib/number.py", f"number = {number}\n")
        checkout.commit(f"work {number}")
    return checkout


def push(checkout: Repository, folder: Path) -> Path:
    """Give a checkout a remote that has all of it."""
    origin = folder / "origin.git"
    git(folder, "init", "-q", "--bare", "-b", "main", origin)
    checkout.git("remote", "add", "origin", origin)
    checkout.git("push", "-q", "origin", "main", "--tags")
    return origin


def run_job(hook: str, checkout: Repository, **more: Any) -> Runner:
    runner = Runner(hook, checkout.path)
    runner.spool = checkout.path.parent.parent / "spool"
    runner.environment["JOBPROV_SPOOL"] = str(runner.spool)
    ended = runner("run", "--output", "answers.txt", "--", "./ask.sh", **more)
    assert ended.returncode == 0, ended.stderr
    return runner


def take_in(parts: Parts, runner: Runner, *, late: bool = False) -> dict[str, Any]:
    """Take record and blobs into the service; `late`: blobs after everything else is done."""
    record, blobs = entry_of(runner)
    submission = Submission(decode_record(json.dumps(record).encode()), datetime.now(UTC))
    uploads = [
        Upload(record["experiment"], parts.store.put(blob).sha256) for blob in blobs.values()
    ]
    if not late:
        parts.writer.run(lambda writing: grant_possession(writing, uploads))
    parts.writer.run(lambda writing: record_jobs(writing, [submission]))
    drain(parts, HANDLERS)
    if late:
        for upload in uploads:
            parts.writer.run(lambda writing, upload=upload: settle_blob(writing, *upload))
        drain(parts, HANDLERS)
    return record


def rerun(parts: Parts, record: dict[str, Any], folder: Path, *options: str) -> bytes:
    """Return what the program of the bundle wrote, in a rerun far from everything."""
    bundle = build_bundle(parts.database, parts.writer, parts.store, record["job_id"])
    data = folder / "bundle"
    if not data.exists():
        with (folder / "job.tar").open("wb") as stream:
            stream.writelines(bundle.stream())
        with (folder / "job.tar").open("rb") as stream:
            unpack(stream, data)
    out = folder / ("again" + "".join(options))
    words = ["sh", data / "data/run.sh", *options, out]
    if not (data / "data").exists():
        words[1] = next(data.glob("*/data")) / "run.sh"
    ended = subprocess.run(
        words, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return (out / "work/answers.txt").read_bytes()


def answers(checkout: Repository) -> bytes:
    return (checkout.path / "answers.txt").read_bytes()


def _plain(checkout: Repository) -> None:
    pass


def _at_tag(checkout: Repository) -> None:
    checkout.git("checkout", "-q", "v1.0")


def _light_tag(checkout: Repository) -> None:
    checkout.git("tag", "nightly", "HEAD~1")


def _merges(checkout: Repository) -> None:
    checkout.git("checkout", "-q", "-b", "feature/one", "v1.0~0")
    checkout.write("feature.py", "f = 1\n")
    checkout.commit("feature")
    checkout.git("checkout", "-q", "main")
    checkout.git("merge", "-q", "--no-ff", "-m", "merge", "feature/one")


def _lfs(checkout: Repository) -> None:
    if not shutil.which("git-lfs"):
        pytest.skip("git-lfs is not installed")
    checkout.git("lfs", "install", "--local")
    checkout.git("lfs", "track", "*.bin")
    checkout.write("table.bin", bytes(range(256)) * 1000)
    checkout.commit("lfs")
    assert checkout.git("show", "HEAD:table.bin").startswith("version https://git-lfs")


def _line_ends(checkout: Repository) -> None:
    checkout.write(
        ".gitattributes", "*.txt text eol=crlf\n*.h ident\n*.u16 working-tree-encoding=UTF-16LE\n"
    )
    checkout.write("steering.txt", "a\r\nb\r\n")
    checkout.write("version.h", "// $Id$\n")
    checkout.write("names.u16", "Müller\n".encode("utf-16-le"))
    checkout.commit("line ends")
    (checkout.path / "version.h").unlink()
    checkout.git("checkout", "--", "version.h")


def _marked(checkout: Repository) -> None:
    checkout.git("update-index", "--assume-unchanged", "lib/tool.py")
    checkout.write("lib/tool.py", "x = 2\n")
    checkout.git("update-index", "--skip-worktree", "lib/number.py")
    (checkout.path / "lib/number.py").unlink()


def _sparse(checkout: Repository) -> None:
    checkout.write("other/thing.py", "y = 1\n")
    checkout.commit("other")
    checkout.git("sparse-checkout", "set", "lib")


def _modes(checkout: Repository) -> None:
    checkout.git("config", "core.fileMode", "false")
    (checkout.path / "lib/tool.py").chmod(0o755)


def _changed(checkout: Repository) -> None:
    _line_ends(checkout)
    checkout.write("lib/tool.py", "x = 3\n")
    checkout.write("new.py", "n = 1\n")
    (checkout.path / "current").symlink_to("lib")


def _ignored(checkout: Repository) -> None:
    checkout.write(".gitignore", "answers.txt\n_version.py\nbuild/\n")
    checkout.commit("ignore")
    checkout.write("_version.py", "version = '1.0.dev4'\n")
    checkout.write("build/prog", b"\x7fELF\0" * 100_000).chmod(0o755)


def _shallow(checkout: Repository) -> None:
    deep = checkout.path.with_name("deep")
    checkout.path.rename(deep)
    git(deep.parent, "clone", "-q", "--depth=1", f"file://{deep}", checkout.path)
    checkout.git("remote", "remove", "origin")


def _worktree(checkout: Repository) -> None:
    deep = checkout.path.with_name("deep")
    checkout.path.rename(deep)
    git(deep, "worktree", "add", "-q", checkout.path, "-b", "second")


def _case(checkout: Repository) -> None:
    checkout.write("Makefile", "a\n")
    checkout.write("makefile", "b\n")
    checkout.commit("both")


KINDS: dict[str, Callable[[Repository], None]] = {
    function.__name__.strip("_"): function
    for function in (
        *(_plain, _at_tag, _light_tag, _merges, _lfs, _line_ends, _marked, _sparse, _modes),
        *(_changed, _ignored, _shallow, _worktree, _case),
    )
}


@pytest.mark.parametrize("kind", KINDS)
def test_rerun_finds_the_checkout_as_it_was(
    parts: Parts, hook: str, checkout: Repository, tmp_path: Path, kind: str
) -> None:
    KINDS[kind](checkout)
    runner = run_job(hook, checkout)
    expected = answers(checkout)
    record = take_in(parts, runner)

    shutil.move(tmp_path / "site", tmp_path / "gone")

    assert rerun(parts, record, tmp_path).decode() == expected.decode()
    assert rerun(parts, record, tmp_path, "--from-git").decode() == expected.decode()


@pytest.mark.parametrize("kind", ["plain", "changed", "merges", "light_tag"])
def test_rerun_of_pushed_code_finds_the_checkout_as_it_was(
    parts: Parts, hook: str, checkout: Repository, tmp_path: Path, kind: str
) -> None:
    KINDS[kind](checkout)
    origin = push(checkout, tmp_path)
    runner = run_job(hook, checkout)
    expected = answers(checkout)
    parts.writer.run(lambda writing: register_repository(writing, "code", str(origin)))
    record = take_in(parts, runner)

    shutil.move(tmp_path / "site", tmp_path / "gone")
    origin.rename(tmp_path / "gone.git")

    again = rerun(parts, record, tmp_path).decode()
    # the branch of the server, which no bundle has
    assert again == expected.decode().replace("## main...origin/main", "## main")


def test_changed_tree_enters_the_bundle_when_its_objects_come_late(
    parts: Parts, hook: str, checkout: Repository, tmp_path: Path
) -> None:
    origin = push(checkout, tmp_path)
    _changed(checkout)
    checkout.git("push", "-q", "origin", "main")
    runner = run_job(hook, checkout)
    expected = answers(checkout)
    parts.writer.run(lambda writing: register_repository(writing, "code", str(origin)))

    record = take_in(parts, runner, late=True)
    shutil.move(tmp_path / "site", tmp_path / "gone")

    again = rerun(parts, record, tmp_path).decode()
    assert again == expected.decode().replace("## main...origin/main", "## main")


def test_submodules_are_laid_out_as_the_job_found_them(
    parts: Parts, hook: str, checkout: Repository, tmp_path: Path
) -> None:
    """One that is not checked out is an empty folder; one with Git LFS or the like has its content."""
    library = Repository(tmp_path / "library")
    library.write(".gitattributes", "*.txt text eol=crlf\n")
    library.write("list.txt", "a\r\nb\r\n")
    library.commit()
    for name in ("full", "empty"):
        checkout.git("submodule", "--quiet", "add", library.path, name)
    checkout.commit("submodules")
    checkout.git("submodule", "--quiet", "deinit", "-f", "empty")
    (checkout.path / "full/list.txt").write_bytes(b"a\r\nb\r\n")
    runner = run_job(hook, checkout)
    expected = answers(checkout)
    parts.writer.run(lambda writing: register_repository(writing, "library", str(library.path)))
    record = take_in(parts, runner)

    shutil.move(tmp_path / "site", tmp_path / "gone")

    assert rerun(parts, record, tmp_path).decode() == expected.decode()
    assert list((tmp_path / "again/work/empty").iterdir()) == []


def test_what_is_not_kept_is_a_gap_and_a_need(
    parts: Parts, hook: str, checkout: Repository, tmp_path: Path
) -> None:
    checkout.write("large.bin", bytes(2 << 20))
    checkout.write("old.root", b"root")
    token = "ghp_" + "0123456789abcdefghijABCDEFGHIJ012345"
    checkout.write("login.sh", f"export GITHUB_TOKEN={token}\n")
    record = take_in(parts, run_job(hook, checkout))

    with parts.database.reading.connect() as connection:
        shown = shown_job(connection, parts.store, record["job_id"])
    gaps = {gap["code"]: gap["message"] for gap in shown["gaps"]}
    assert "large.bin (too large)" in gaps["untracked-left-out"]
    assert "login.sh" in gaps["secret-removed"]
    assert "old.root" in gaps["ignored-left-out"]
    rerun(parts, record, tmp_path)
    needs = next((tmp_path / "bundle").rglob("NEEDS.tsv")).read_text()
    for name in ("large.bin", "login.sh", "old.root"):
        assert f"code/{name}\t" in needs
