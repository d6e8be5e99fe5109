"""Environment capsules: made by tracing real reruns, and lived in by them."""

import hashlib
import shutil
import struct
import subprocess
from pathlib import Path

import bagit
import pytest

from jobprov.archive.opening import open_store
from jobprov.provenance.capture.trace.touched import elf_interpreter
from jobprov.provenance.db.connections.engines import open_database
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.bundles.job_bundle import build_bundle
from jobprov.provenance.services.reruns.capsule_making import (
    CapsuleReport,
    _paths_in,
    make_capsule,
    touched_path,
)
from jobprov.provenance.services.reruns.isolation import apart
from jobprov.provenance.services.reruns.traced_capsules import (
    TouchedPath,
    Trace,
    make_traced_capsule,
)
from tests.library.productions.joining import BAD, GOOD, sample_parts

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tars(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the bundles of the sample's two jobs."""
    folder = tmp_path_factory.mktemp("capsule")
    shutil.copy(sqlite_template, folder / "jobprov.db")
    database = open_database(f"sqlite:///{folder}/jobprov.db")
    with sample_parts(database, folder) as sample:
        for job_id in (GOOD, BAD):
            bundle = build_bundle(database, sample.writer, sample.store, job_id)
            (folder / f"{job_id}.tar").write_bytes(b"".join(bundle.stream()))
    database.dispose()
    return {job_id: folder / f"{job_id}.tar" for job_id in (GOOD, BAD)}


def can_enter() -> bool:
    """Return whether this kernel lets run.sh enter a folder."""
    words = ["unshare", "-rm", "true"]
    return (
        bool(shutil.which("strace"))
        and subprocess.run(words, capture_output=True, check=False).returncode == 0
    )


@pytest.mark.skipif(
    not can_enter(), reason="NO STRACE OR NO NAMESPACES HERE: capsules are not made"
)
def test_reruns_live_in_a_capsule_that_their_release_shares(
    tars: dict[str, Path], tmp_path: Path
) -> None:
    first = make_capsule(tmp_path / "capsule", [tars[GOOD]], apart())
    second = make_capsule(tmp_path / "capsule", [tars[BAD], tars[GOOD]], apart())

    assert first.levels == {f"{GOOD}.tar": "R7"}
    assert second.levels == {f"{BAD}.tar": "R1=", f"{GOOD}.tar": "R7"}
    assert first.added > 3
    assert second.added < first.added / 2  # the shell and its libraries were there
    assert (tmp_path / "capsule/data/root/bin/sh").exists()
    assert not list((tmp_path / "capsule/data/root").glob("tmp/jobprov-capsule-*"))
    bagit.Bag(str(tmp_path / "capsule")).validate()


@pytest.mark.skipif(
    not can_enter(), reason="NO STRACE OR NO NAMESPACES HERE: capsules are not made"
)
def test_trace_is_completed_by_a_rerun_of_its_bundle_on_a_machine_of_the_same_release(
    tars: dict[str, Path], tmp_path: Path
) -> None:
    shell, store = Path("/bin/sh").resolve(), open_store("memory:")
    digest = hashlib.sha256(shell.read_bytes()).hexdigest()
    lacking = TouchedPath(str(shell), "file", mode="0755", sha256=digest)
    withheld = TouchedPath(str(Path("/usr/bin/env").resolve()), "file", mode="0755", sha256="-")

    def make(name: str, *paths: TouchedPath) -> CapsuleReport:
        trace = Trace(list(paths), frozenset())
        return make_traced_capsule(tmp_path / name, [trace], store, [tars[GOOD]], apart())

    report = make("same", lacking, withheld)
    elsewhere = make("other", lacking._replace(sha256="0" * 64), withheld)

    assert (report.is_whole, report.notes) == (True, ()), report
    assert report.levels == {f"{GOOD}.tar": "R7"}
    assert report.added > 5  # libraries of the rerun that the trace does not name
    assert elsewhere.notes == (f"this machine has another release than the job: {shell} differs",)
    assert set(elsewhere.missing + elsewhere.left_out) == {str(shell), withheld.path}
    assert not (tmp_path / "other/data/root" / str(shell)[1:]).exists()


@pytest.mark.skipif(not shutil.which("strace"), reason="NO STRACE HERE: capsules are not made")
def test_folder_with_something_else_is_refused(tars: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "mine").touch()

    with pytest.raises(BadInputError, match="else than a capsule"):
        make_capsule(tmp_path, [tars[GOOD]], apart())


@pytest.mark.parametrize(
    ("line", "path"),
    [
        (
            b'openat(AT_FDCWD</scratch>, "/usr/lib/x.so", O_RDONLY) = 3</usr/lib/x.so>',
            "/usr/lib/x.so",
        ),
        (b'7 openat(AT_FDCWD</scratch>, "a/../b", O_RDONLY) = 3', "/scratch/a/../b"),
        (b'newfstatat(5</opt/a b>, "c\\"d", {st_mode=S_IFREG}, 0) = 0', '/opt/a b/c"d'),
        (b'execve("/bin/\\303\\244\\x41\\n", ["x"], 0x7 /* 3 vars */) = 0', "/bin/äA\n"),
        (b'execve("./here", ["x"], 0x7) = 0', None),
        (b"exit_group(0) = ?", None),
        (b"+++ exited with 0 +++", None),
    ],
)
def test_lines_of_strace_are_read(line: bytes, path: str | None) -> None:
    assert touched_path(line) == path


def test_loader_of_a_program_is_read_from_its_header() -> None:
    header = b"\x7fELF\x02\x01".ljust(32, b"\0") + struct.pack("<Q", 64)
    header = header.ljust(54, b"\0") + struct.pack("<HH", 56, 2)
    table = struct.pack("<I", 1).ljust(56, b"\0") + struct.pack("<IIQ", 3, 0, 200).ljust(56, b"\0")
    program = (header.ljust(64, b"\0") + table).ljust(200, b"\0") + b"/lib64/ld.so\0"

    assert elf_interpreter(program) == b"/lib64/ld.so"
    assert elf_interpreter(program[:70]) is None
    assert elf_interpreter(b"#!/bin/sh\n") is None


def test_what_the_rerun_s_own_root_is_made_of_is_no_need_of_the_job(tmp_path: Path) -> None:
    lines = [
        'execve("/bin/sh", ["sh", "/b/data/own-root.sh", ""], 0x7) = 0',
        'newfstatat(AT_FDCWD</b>, "/home/me/.bash_history", {st_mode=S_IFREG}, 0) = 0',
        'execve("/usr/bin/mount", ["mount", "--rbind", "/own.txt"], 0x7) = 0',
        'newfstatat(AT_FDCWD</b>, "/own.txt", {st_mode=S_IFREG}, 0) = 0',
        'execve("/usr/bin/env", ["env", "-i", "toy"], 0x7) = 0',
        'openat(AT_FDCWD</out/root/opt/toy>, "lib/x.so", O_RDONLY) = 3',
        'openat(AT_FDCWD</out/root>, "/out/roots", O_RDONLY) = 3',
    ]
    (tmp_path / "trace.7").write_text("\n".join(lines))

    paths = list(_paths_in(tmp_path / "trace.7", "/out/root/"))

    assert paths == ["/usr/bin/env", "/opt/toy/lib/x.so", "/out/roots"]
