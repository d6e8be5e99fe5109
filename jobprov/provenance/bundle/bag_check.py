"""Whether an unpacked bundle is one: its BagIt files are made again from its members, and compared.

So not a letter of a manifest can be other than the builder writes it. What the bundle states of
itself in bag-info.txt is compared as far as the members show it.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from jobprov.provenance.bundle.bag import (
    DECLARATION,
    DERIVED,
    README,
    manifest_lines,
    time_of_entries,
)
from jobprov.provenance.bundle.draft import Member, by_path
from jobprov.provenance.errors import BundleError

_ALWAYS = frozenset({"README.txt", "bag-info.txt", "bagit.txt"})
_OF_ALL = _ALWAYS | DERIVED
_OF_HOLEY = _ALWAYS | {"fetch.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt"}
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_MODES = re.compile(r"data/src/[^/]+\.modes\.tsv\Z")
_PROGRAM, _PLAIN = 0o755, 0o644
_TAG_MANIFEST = "tagmanifest-"
_SCRIPTS = frozenset({"data/run.sh", "data/verify.sh"})


def check_bag(members: Iterable[Member], read: Callable[[str], bytes], *, mtime: int) -> None:
    """Refuse what is not exactly as a bundle is made.

    Args:
        members: with all digests; paths without the top folder.
        read: returns the bytes of a member.
        mtime: of the tar's entries.

    Raises:
        BundleError: it names the first file that is wrong.
    """
    ordered = sorted(members, key=by_path)
    payload = [member for member in ordered if member.path.startswith("data/")]
    tags = {member.path: member for member in ordered if not member.path.startswith("data/")}
    if "manifest-sha256.txt" not in tags:
        raise BundleError("The tar holds no manifest-sha256.txt, so it is not a bundle.")
    listed = payload
    if "fetch.txt" in tags:
        _check_names(tags, _OF_HOLEY)
        listed = _with_unfetched(payload, read)
    else:
        _check_names(tags, _OF_ALL)
    _check_lists(tags, listed, read)
    if read("bagit.txt") != DECLARATION:
        raise BundleError("bagit.txt: does not declare BagIt 1.0 as a bundle does; get it again.")
    if read("README.txt") != README:
        raise BundleError("README.txt: is not the one that a bundle has; get it again.")
    _check_statements(read("bag-info.txt"), listed, mtime)
    _check_modes(ordered, read)


def _check_names(tags: Mapping[str, Member], wanted: frozenset[str]) -> None:
    odd = sorted(tags.keys() ^ wanted)
    if odd:
        state = "is none of a bundle's files" if odd[0] in tags else "is not in the tar"
        raise BundleError(f"{odd[0]} {state}; the bundle was changed or cut off, get it again.")


def _check_lists(
    tags: Mapping[str, Member], payload: Sequence[Member], read: Callable[[str], bytes]
) -> None:
    """Compare each list of a bundle with the members that it is to list."""
    tag_files = [tags[name] for name in tags if not name.startswith(_TAG_MANIFEST)]
    # The lists of lists come first: they show whether the others are whole
    lists = sorted(DERIVED & tags.keys())
    for name in lists:
        if name.startswith(_TAG_MANIFEST):
            _compare(name, read(name), tag_files)
    for name in lists:
        if not name.startswith(_TAG_MANIFEST):
            _compare(name, read(name), payload)


def _with_unfetched(payload: Sequence[Member], read: Callable[[str], bytes]) -> list[Member]:
    """The payload, and what fetch.txt lists and is not here, with the digests of the manifest."""
    digests = dict(_paths(read("manifest-sha256.txt")))
    held = {member.path for member in payload}
    absent = []
    for line in _lines(read("fetch.txt")):
        _url, length, path = _padded(line.split(" ", 2), 3)
        digest = digests.get(path, "").partition(" ")[0]
        if path not in held and _SHA256.match(digest) and length.isdigit():
            absent.append(
                Member(path=path, mode=_PLAIN, sha256=digest, sha512="", size=int(length))
            )
    return sorted([*payload, *absent], key=by_path)


def _compare(name: str, written: bytes, members: Sequence[Member]) -> None:
    """Refuse a list that does not have the lines of these members, and them alone, in order."""
    wanted = manifest_lines(name, members)
    if written == wanted:
        return
    listed, expected = dict(_paths(written)), dict(_paths(wanted))
    paths = listed.keys() | expected.keys()
    wrong = sorted(path for path in paths if listed.get(path) != expected.get(path))
    problem = f"{name}: has lines in another order or form"
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        problem = f"{wrong[0]}{more}: differs from what {name} lists"
    raise BundleError(f"{problem}; the bundle was changed or damaged, get it again.")


def _paths(manifest: bytes) -> Iterable[tuple[str, str]]:
    """(path, line) of a list; no path of a bundle has blanks."""
    for line in _lines(manifest):
        yield line.rpartition(" ")[2], line


def _padded(cells: list[str], count: int) -> list[str]:
    """The first cells of a line; those that it lacks are empty."""
    return [*cells[:count], *[""] * (count - len(cells))]


def _lines(data: bytes) -> list[str]:
    return data.decode("utf-8", "replace").split("\n")[:-1]


def _check_statements(bag_info: bytes, payload: Sequence[Member], mtime: int) -> None:
    """Compare bag-info.txt with what the members show."""
    time = time_of_entries(mtime)
    shown = {
        "Bagging-Date": time[:10],
        "Bundle-Time": time,
        "Payload-Oxum": f"{sum(member.size for member in payload)}.{len(payload)}",
    }
    for member in payload:
        if member.path == "data/JOB.json":
            shown["Record-Digest"] = f"sha256:{member.sha256}"
    stated = dict(line.partition(": ")[::2] for line in _lines(bag_info))
    for key, value in shown.items():
        if stated.get(key) != value:
            raise BundleError(
                f"bag-info.txt: {key} is {stated.get(key)}, the bundle's own is {value}; the "
                "bundle was changed, get it again."
            )


def _check_modes(members: Sequence[Member], read: Callable[[str], bytes]) -> None:
    """Compare which files are programs with what src/NAME.modes.tsv says."""
    modes = dict.fromkeys(_SCRIPTS, _PROGRAM)
    for member in members:
        if _MODES.match(member.path):
            for row in _lines(read(member.path))[1:]:
                recorded, _sha256, _path, stored = _padded(row.split("\t"), 4)
                mode = _PROGRAM if recorded == "100755" else _PLAIN
                # Two files with odd names may share one, which has the mode of the first
                modes.setdefault(f"data/{stored}", mode)
    for member in members:
        wanted = modes.get(member.path, _PLAIN)
        if member.mode != wanted:
            raise BundleError(
                f"{member.path}: its mode is {member.mode:04o}, that of the bundle is "
                f"{wanted:04o}; the bundle was packed again or changed, get it again."
            )
