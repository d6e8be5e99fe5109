"""The tree of a commit in a bundle: the part of a plan that depends only on the code.

It is planned once for all jobs of a release. Its files are not stored again: each member names the
git pack that holds it, and its offset there. Trees that were planned lately are remembered, by
pack, tree, name of the repository and length of the top folder's name, which decide everything.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from jobprov.provenance.bundle.draft import Draft, Fragment, Member, by_path, member_of
from jobprov.provenance.bundle.fields import canonical_json
from jobprov.provenance.bundle.ingredients import GITLINK, SYMLINK
from jobprov.provenance.bundle.names import Shelf
from jobprov.provenance.bundle.needs import tsv
from jobprov.provenance.bundle.payload.payload import SHEBANG_BYTES
from jobprov.provenance.bundle.recent import Recent
from jobprov.provenance.errors import BundleError
from jobprov.provenance.software.packs.reading import TreeFile, tree_files

_LICENCE = re.compile(r"(?:LICEN[CS]E|COPYING|NOTICE)(?:[._-][A-Za-z0-9._-]*)?\Z", re.IGNORECASE)
_REMEMBERED = 8  # trees
_LARGEST_REMEMBERED = 50_000  # files of a tree; each takes some 1 kB of memory


class OddFile(NamedTuple):
    """A file that is stored under its digest.

    Attributes:
        stored: its path in the payload.
        mode: as a shell takes it.
        path: in the repository.
    """

    stored: str
    mode: str
    path: str


class TreeLink(NamedTuple):
    """A symbolic link of a repository; the path is that in the repository."""

    target: str
    path: str


class _ModeRow(NamedTuple):
    """A line of `src/NAME.modes.tsv`; its fields are the columns."""

    mode: str
    sha256: str
    path: str
    stored: str
    target: str


@dataclass(frozen=True)
class CodeTree:
    """A planned tree.

    Attributes:
        fragment: its members, below `data/src/`, including the table of modes.
        paths: all paths in the repository that a copy of the tree has.
        scripts: the first bytes of files that begin with `#!`.
        programs: paths of executable files that are stored under their own name.
        odd: files that are stored under their digest.
        links: symbolic links.
        submodules: commit id by path.
        licences: members with a licence text, by path in the repository.
    """

    fragment: Fragment
    paths: frozenset[str]
    scripts: Mapping[str, bytes]
    programs: tuple[str, ...]
    odd: tuple[OddFile, ...]
    links: tuple[TreeLink, ...]
    submodules: Mapping[str, str]
    licences: Mapping[str, Member]


class _Row(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """A member of a stored fragment: a list of these values, in this order.

    Attributes:
        offset: in the fragment's pack; negative if the bytes are a blob of their own.
    """

    path: str
    mode: int
    sha256: str
    sha512: str
    size: int
    cksum: int
    offset: int

    def member(self, pack: str) -> Member:
        """The member of a row; `pack` is that of the fragment."""
        if self.offset < 0:
            pack = ""
        return Member(
            path=self.path,
            mode=self.mode,
            sha256=self.sha256,
            sha512=self.sha512,
            size=self.size,
            cksum=self.cksum,
            pack=pack,
            offset=self.offset,
        )


class _Listing(msgspec.Struct):
    """A fragment as it is stored; `pack` holds those members that are in a pack."""

    pack: str
    members: list[_Row]


@lru_cache(maxsize=4)
def read_fragment(data: bytes) -> tuple[Member, ...]:
    """The members of a stored fragment, sorted.

    Raises:
        BundleError: these bytes are not a fragment.
    """
    try:
        listing = msgspec.json.decode(data, type=_Listing)
    except msgspec.DecodeError as error:
        message = (
            f"A stored fragment of a bundle's plan cannot be read ({error}); build the bundle anew "
            "from its record."
        )
        raise BundleError(message) from error
    return tuple(row.member(listing.pack) for row in listing.members)


def fragment_of(pack: str, members: Sequence[Member], blobs: Mapping[str, bytes]) -> Fragment:
    """The fragment of these members, which are sorted by the bytes of their path.

    Args:
        pack: holds those members that are in a pack.
        members: of the fragment.
        blobs: the bytes of the others, by digest.
    """
    rows = msgspec.convert(members, list[_Row], from_attributes=True)
    listing = canonical_json(msgspec.to_builtins(_Listing(pack, rows)))
    sha256 = hashlib.sha256(listing).hexdigest()
    return Fragment(
        sha256=sha256,
        members=tuple(members),
        blobs={**blobs, sha256: listing},
        size_bytes=sum(member.size for member in members),
        path_bytes=sum(len(member.path) for member in members),
    )


def code_tree(draft: Draft, pack_sha256: str, tree: str, *, name: str, top: str) -> CodeTree:
    """The plan of a tree (or of a commit's tree) from its pack, remembered from job to job.

    Raises:
        SoftwareError: the pack is damaged, or lacks an object of the tree.
    """
    key = (pack_sha256, tree, name, len(top))
    remembered = _recent.get(key)
    if remembered is not None:
        return remembered
    files = tree_files(draft.reader.get(pack_sha256), tree)
    planned = _Tree(pack_sha256, name, top).plan(files)
    if len(planned.fragment.members) <= _LARGEST_REMEMBERED:
        _recent.keep(key, planned)
    return planned


_recent: Recent[tuple[str, str, str, int], CodeTree] = Recent(_REMEMBERED)


class _Tree:
    """One tree while it is planned: what is stored under which name, and how it is restored."""

    def __init__(self, pack_sha256: str, name: str, top: str) -> None:
        self._pack = pack_sha256
        self._folder = f"src/{name}"
        self._shelf = Shelf(top)
        self._members: dict[str, Member] = {}
        self._modes: list[_ModeRow] = []
        self._odd: list[OddFile] = []
        self._links: list[TreeLink] = []
        self._programs: list[str] = []
        self._scripts: dict[str, bytes] = {}
        self._submodules: dict[str, str] = {}
        self._licences: dict[str, Member] = {}

    def plan(self, files: Iterable[TreeFile]) -> CodeTree:
        """The planned tree of these files, which come sorted by the bytes of their path."""
        for file in files:
            self._add(file)
        modes = tsv(_ModeRow._fields, self._modes)
        self._keep(member_of(f"data/{self._folder}.modes.tsv", modes))
        members = tuple(sorted(self._members.values(), key=by_path))
        return CodeTree(
            fragment=fragment_of(self._pack, members, {hashlib.sha256(modes).hexdigest(): modes}),
            paths=frozenset(row.path for row in self._modes),
            scripts=self._scripts,
            programs=tuple(self._programs),
            odd=tuple(self._odd),
            links=tuple(self._links),
            submodules=self._submodules,
            licences=self._licences,
        )

    def _add(self, file: TreeFile) -> None:
        if file.mode_bits == GITLINK:
            self._submodules[file.path] = file.content.decode()
        elif file.mode_bits == SYMLINK:
            target = file.content.decode("utf-8", "surrogateescape")
            self._links.append(TreeLink(target, file.path))
            self._modes.append(_ModeRow("120000", "", file.path, "", target))
        else:
            self._add_file(file)

    def _add_file(self, file: TreeFile) -> None:
        is_program = bool(file.mode_bits & 0o111)
        mode = 0o755 if is_program else 0o644
        octal = f"100{mode:o}"
        if file.content.startswith(b"#!"):
            self._scripts[file.path] = file.content[:SHEBANG_BYTES]
        member = member_of("", file.content, mode=mode, pack=self._pack, offset=file.offset)
        stored = self._shelf.take(self._folder, file.path, member.sha256, odd=f"{self._folder}.odd")
        self._keep(replace(member, path=f"data/{stored}"))
        self._modes.append(_ModeRow(octal, member.sha256, file.path, stored, ""))
        if stored != f"{self._folder}/{file.path}":
            self._odd.append(OddFile(stored, f"{mode:04o}", file.path))
        elif is_program:
            self._programs.append(file.path)
        if "/" not in file.path and _LICENCE.match(file.path):
            self._licences[file.path] = member

    def _keep(self, member: Member) -> None:
        self._members.setdefault(member.path, member)
