"""The BagIt files of a bundle.

Without a library, since libraries put today's date and their own version into them. The manifests
are not stored, but computed from the members while the tar is written. FROZEN like the tar: golden
digests in the tests hold every byte. `posix-cksum.txt` is for machines that have only POSIX's own
tools. Source: RFC 8493 (BagIt 1.0); POSIX.1-2017, cksum.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NotRequired, TypedDict, Unpack
from urllib.parse import quote

from jobprov.provenance.bundle.draft import Draft, Fetched, Member
from jobprov.provenance.bundle.names import percent
from jobprov.provenance.times import exact_utc_text

ALGORITHMS = ("sha256", "sha512")
CKSUMS = "posix-cksum.txt"
_PAYLOAD_LISTS = (*(f"manifest-{algorithm}.txt" for algorithm in ALGORITHMS), CKSUMS)
_TAG_LISTS = tuple(f"tagmanifest-{algorithm}.txt" for algorithm in ALGORITHMS)
DERIVED = frozenset({*_PAYLOAD_LISTS, *_TAG_LISTS})
"""Members that are not stored: the writer of the tar makes them from the others."""
DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
"""Bagit.txt."""
README = b"""\
A rerun bundle of jobprov, in the form of a BagIt bag (RFC 8493): what it holds is in the folder data.
Read data/README.txt first; sh data/run.sh OUT runs the job again, sh data/verify.sh OUT compares.
"""
"""README.txt beside it, for whoever unpacks the tar: the longer one is part of the payload."""
_URL_LETTERS = "!#$%&'()*+,/:;=?@[]~"  # RFC 3986: reserved, and % of what is encoded already
_HEX = {"sha256": 64, "sha512": 128}
_CKSUM_DIGITS, _SIZE_DIGITS = 10, 12


class BagFacts(TypedDict):
    """The facts in bag-info.txt; `mtime` is in seconds since 1970."""

    identifier: str
    spec_version: int
    level: int
    mtime: int
    record_sha256: NotRequired[str]


def add_bag(draft: Draft, **facts: Unpack[BagFacts]) -> None:
    """Write bagit.txt and bag-info.txt, and note the members that the writer of the tar will make.

    Call it once the payload is complete.
    """
    payload = draft.payload_sums()
    _add_declarations(draft, f"{payload.size_bytes}.{payload.members}", facts)
    for name in _PAYLOAD_LISTS:
        draft.add_derived(name, payload.members * _bytes_before_path(name) + payload.path_bytes)
    # Tag manifests also list the payload's manifests, but not each other
    tags = [member.path for member in draft.own() if not member.path.startswith("data/")]
    tag_bytes = sum(len(path) for path in tags)
    for name in _TAG_LISTS:
        draft.add_derived(name, len(tags) * _bytes_before_path(name) + tag_bytes)


def add_holey_bag(draft: Draft, fetched: Sequence[Fetched], **facts: Unpack[BagFacts]) -> None:
    """Write the tag files of a bag that is complete once the files in fetch.txt have been fetched.

    It has only manifests of SHA-256, the one digest that is known of these files.
    """
    held = draft.payload_sums()
    whole_bytes = held.size_bytes + sum(file.size for file in fetched)
    whole_count = held.members + len(fetched)
    _add_declarations(draft, f"{whole_bytes}.{whole_count}", facts)
    lines = []
    payload = {}
    for file in fetched:
        lines.append(f"{quote(file.url, safe=_URL_LETTERS)} {file.size} {file.path}\n")
        payload[file.path] = file.sha256
    draft.add("fetch.txt", "".join(lines).encode())
    for member in draft.everything():
        if member.path.startswith("data/"):
            payload.setdefault(member.path, member.sha256)
    draft.add("manifest-sha256.txt", _sha256_lines(payload))
    # The manifest is one of the tag files
    tags = {}
    for member in draft.own():
        if not member.path.startswith("data/"):
            tags[member.path] = member.sha256
    draft.add("tagmanifest-sha256.txt", _sha256_lines(tags))


def _sha256_lines(digests: Mapping[str, str]) -> bytes:
    paths = sorted(digests, key=str.encode)
    return "".join([f"{digests[path]}  {path}\n" for path in paths]).encode()


def _add_declarations(draft: Draft, oxum: str, facts: BagFacts) -> None:
    version, mtime = facts["spec_version"], facts["mtime"]
    draft.add("bagit.txt", DECLARATION)
    draft.add("README.txt", README)
    lines = {
        "Bag-Software-Agent": f"jobprov bundle specification {version}",
        "Bagging-Date": datetime.fromtimestamp(mtime, UTC).date().isoformat(),
        "Bundle-Spec-Version": str(version),
        "Bundle-Time": time_of_entries(mtime),
        "Closure-Level": f"L{facts['level']}",
        "External-Identifier": percent(facts["identifier"]),
        "Payload-Oxum": oxum,
    }
    if "record_sha256" in facts:
        lines["Record-Digest"] = f"sha256:{facts['record_sha256']}"
    text = "".join(f"{key}: {value}\n" for key, value in sorted(lines.items()))
    draft.add("bag-info.txt", text.encode())


def time_of_entries(mtime: int) -> str:
    """The time of all entries of the tar as bag-info.txt has it."""
    return exact_utc_text(datetime.fromtimestamp(mtime, UTC))


def manifest_lines(name: str, members: Iterable[Member]) -> bytes:
    """The lines of these members, which have their digests, in one of `DERIVED`."""
    if name == CKSUMS:
        return "".join([_cksum_line(member) for member in members]).encode()
    if name.endswith("sha256.txt"):
        return "".join([f"{member.sha256}  {member.path}\n" for member in members]).encode()
    return "".join([f"{member.sha512}  {member.path}\n" for member in members]).encode()


def _cksum_line(member: Member) -> str:
    return f"{member.cksum:{_CKSUM_DIGITS}d} {member.size:{_SIZE_DIGITS}d} {member.path}\n"


def _bytes_before_path(name: str) -> int:
    """How many bytes a line of one of `DERIVED` has without its path: digits, two blanks, LF."""
    if name == CKSUMS:
        digits = _CKSUM_DIGITS + _SIZE_DIGITS
    else:
        algorithm = name.removesuffix(".txt").partition("-")[2]
        digits = _HEX[algorithm]
    return digits + 3
