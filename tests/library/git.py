"""Real git repositories made on the spot, with fixed dates and identities; packs of objects.

The same commits everywhere.
"""

import os
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

from jobprov.provenance.software.object_form import object_id
from jobprov.provenance.software.packs.form import (
    entry_header,
    pack_header,
    sort_key,
    stored_zlib,
    with_trailer,
)

FIXED = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_AUTHOR_DATE": "2024-01-02T03:04:05+00:00",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_COMMITTER_DATE": "2024-01-02T03:04:05+00:00",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
}


def git_output(folder: Path, *words: object, date: str | None = None, stdin: bytes = b"") -> bytes:
    """Return what git prints, run as the owner of a repository would.

    A test fails where git does.
    """
    dates = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date} if date else {}
    done = subprocess.run(
        ["git", "-c", "protocol.file.allow=always", *map(str, words)],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **FIXED, **dates},
        input=stdin,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
    return done.stdout


def git(folder: Path, *words: object, date: str | None = None, stdin: bytes = b"") -> str:
    """Return what git prints as text, without the line's end."""
    return git_output(folder, *words, date=date, stdin=stdin).decode().strip()


def make_repository(folder: Path) -> Path:
    """Make a repository with one commit and the annotated tag v1."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    (folder / "reco.fcl").write_text("process_name: reco\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    git(folder, "tag", "-a", "v1", "-m", "release")
    return folder


def move_tag(folder: Path) -> None:
    """Commit once more and have v1 name the new commit."""
    (folder / "reco.fcl").write_text("process_name: reco2\n")
    git(folder, "commit", "-q", "-a", "-m", "second")
    git(folder, "tag", "-f", "-a", "v1", "-m", "release again")


class Repository:
    """A repository with a working tree, driven by the git command as its owner would."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        if not (path / ".git").exists():
            self.git("init", "-q", "-b", "main")

    def git(self, *words: object, date: str | None = None, stdin: str = "") -> str:
        """Return what git prints here."""
        return git(self.path, *words, date=date, stdin=stdin.encode())

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def commit(self, message: str = "work", date: str | None = None) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message, date=date)
        return self.git("rev-parse", "HEAD")


MakeRepository = Callable[[str], Repository]


def pack_of_objects(given: Iterable[tuple[str, bytes]]) -> bytes:
    """Return the canonical pack of objects in memory."""
    known = {object_id(kind, content): (kind, content) for kind, content in given}
    order = sorted(known, key=lambda oid: sort_key(known[oid][0], oid))
    parts = [pack_header(len(order))]
    for oid in order:
        kind, content = known[oid]
        parts += [entry_header(kind, len(content)), *stored_zlib([content], len(content))]
    return b"".join(with_trailer(parts))
