"""The submodules of a tree: other repositories at exact commits, from `.gitmodules` and gitlinks.

Anybody may have written the names and urls in `.gitmodules`. They are returned as text; nothing here
uses them as paths, or fetches them.

Source: gitmodules(5).
"""

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from jobprov.provenance.errors import SoftwareError
from jobprov.provenance.software.git_command import run_git
from jobprov.provenance.software.object_form import TreeEntry
from jobprov.provenance.software.urls import RepositoryUrl, parse_url

_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Submodule:
    """A submodule.

    Attributes:
        url: absolute if possible; None if `.gitmodules` has none.
        revision: the commit in the other repository.
    """

    path: str
    url: str | None
    revision: str


class Trees(Protocol):
    """A reader of trees and files: a repository, or a pack in memory."""

    def walk(self, tree: str, /) -> Iterable[TreeEntry]:
        """Return the entries of a tree and of those below it."""
        ...

    def read(self, oid: str, path: str = "") -> tuple[str, bytes]:
        """Return type and content of one object."""
        ...


def submodules_of(objects: Trees, tree: str, *, base_url: str | None = None) -> list[Submodule]:
    """Return the submodules of a tree by path.

    Args:
        objects: where the tree is read.
        tree: full id.
        base_url: the url of the repository, to which `../other.git` is relative.
    """
    entries = list(objects.walk(tree))
    links = [entry for entry in entries if entry.is_gitlink]
    urls = _urls_by_path(objects, entries) if links else {}
    found = []
    for link in links:
        found.append(Submodule(link.path, _absolute(urls.get(link.path), base_url), link.oid))
    return sorted(found, key=lambda submodule: submodule.path)


def _urls_by_path(objects: Trees, entries: Iterable[TreeEntry]) -> dict[str, str]:
    """Return the urls in `.gitmodules` by path."""
    urls: dict[str, str] = {}
    for fields in _sections(_gitmodules(objects, entries)):
        if "path" in fields and "url" in fields:
            urls[fields["path"]] = fields["url"]
    return urls


def _gitmodules(objects: Trees, entries: Iterable[TreeEntry]) -> bytes:
    """Return the content of `.gitmodules`, empty if there is no such file."""
    for entry in entries:
        # As git does, read it only if it is a regular file: a link may lead anywhere
        if entry.path == ".gitmodules" and entry.mode.startswith("100"):
            _, content = objects.read(entry.oid, entry.path)
            if len(content) > _MAX_BYTES:
                raise SoftwareError(
                    f".gitmodules of {len(content)} bytes is not read: the limit is {_MAX_BYTES}."
                )
            return content
    return b""


def _sections(content: bytes) -> Iterable[dict[str, str]]:
    """Return the fields of each submodule in `.gitmodules`."""
    if not content:
        return ()
    # Parsed by git itself. --no-includes, so that it opens no other file that the text names
    command = ["config", "--no-includes", "--file", "-", "--null", "--list"]
    answer = run_git(command, stdin=content, accept=(0, 1, 3, 128))
    fields_by_name: dict[str, dict[str, str]] = {}
    for item in answer.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]:
        key, _, value = item.partition("\n")
        if key.startswith("submodule."):
            name, _, field = key.removeprefix("submodule.").rpartition(".")
            fields_by_name.setdefault(name, {})[field] = value
    return fields_by_name.values()


def _absolute(url: str | None, base_url: str | None) -> str | None:
    """Return the url of a submodule; one that begins with `./` is relative to its parent's."""
    if url is None or base_url is None or not url.startswith(("./", "../")):
        return url
    try:
        base = parse_url(base_url)
    except SoftwareError:
        return url
    path = posixpath.normpath(f"/{base.path.strip('/')}/{url}")
    # In `host:path`, the path is relative to the user's home: keep it so
    if base.scheme == "ssh" and not base.path.startswith("/"):
        path = path.lstrip("/")
    return RepositoryUrl(base.scheme, base.user, base.host, base.port, path).public
