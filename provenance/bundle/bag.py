"""The BagIt files of a bundle.

They are written by hand: libraries stamp today's date and their own version into them.

The manifests are not stored: they follow from the members while these are written. FROZEN, as the
tar is: golden digests in the tests hold their bytes. `posix-cksum.txt` is for a machine with no
other tool than POSIX's own. Source: RFC 8493 (BagIt 1.0); POSIX.1-2017, cksum.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NotRequired, TypedDict, Unpack
from urllib.parse import quote

from jobprov.provenance.bundle.draft import Draft, Fetched, Member
from jobprov.provenance.bundle.names import percent

ALGORITHMS = ("sha256", "sha512")
CKSUMS = "posix-cksum.txt"
DERIVED = frozenset(
    {
        CKSUMS,
        *(
            f"{kind}-{algorithm}.txt"
            for kind in ("manifest", "tagmanifest")
            for algorithm in ALGORITHMS
        ),
    }
)
"""Members that are no blobs: the writer of the tar makes them from the others."""
_URL_LETTERS = "!#$%&'()*+,/:;=?@[]~"  # RFC 3986: reserved, and % of what is encoded already
_HEX = {"sha256": 64, "sha512": 128}
_CKSUM_DIGITS, _SIZE_DIGITS = 10, 12


class BagFacts(TypedDict):
    """What bag-info.txt says of a bundle; `mtime` in seconds since 1970."""

    identifier: str
    spec_version: int
    level: int
    mtime: int
    record_sha256: NotRequired[str]


def add_bag(draft: Draft, **facts: Unpack[BagFacts]) -> None:
    """Write bagit.txt and bag-info.txt, and note what the writer will make.

    To be called when the payload is whole.
    """
    count, size_bytes, path_bytes = draft.payload_sums()
    _add_declarations(draft, f"{size_bytes}.{count}", facts)
    # the writer's order: each of these lists what was written before it
    for name in (
        "manifest-sha256.txt",
        "manifest-sha512.txt",
        CKSUMS,
        "tagmanifest-sha256.txt",
        "tagmanifest-sha512.txt",
    ):
        if name.startswith("tagmanifest-"):
            tags = [
                len(member.path)
                for member in draft.own()
                if not member.path.startswith(("data/", "tagmanifest-"))
            ]
            draft.add_derived(name, len(tags) * _before(name) + sum(tags))
        else:
            draft.add_derived(name, count * _before(name) + path_bytes)


def add_holey_bag(draft: Draft, fetched: Sequence[Fetched], **facts: Unpack[BagFacts]) -> None:
    """Write the tag files of a bag that is complete when what fetch.txt lists was fetched.

    Of what is fetched the SHA-256 alone is known, so that there are manifests of this algorithm
    only.
    """
    count, size_bytes, _ = draft.payload_sums()
    oxum = f"{size_bytes + sum(one.size for one in fetched)}.{count + len(fetched)}"
    _add_declarations(draft, oxum, facts)
    lines = [f"{quote(one.url, safe=_URL_LETTERS)} {one.size} {one.path}\n" for one in fetched]
    draft.add("fetch.txt", "".join(lines).encode())
    for name, part in (("manifest-sha256.txt", "data/"), ("tagmanifest-sha256.txt", "")):
        listed = {
            member.path: member.sha256
            for member in draft.everything()
            if member.path.startswith("data/") == bool(part)
        }
        listed |= {one.path: one.sha256 for one in fetched if part}
        paths = sorted(listed, key=str.encode)
        draft.add(name, "".join([f"{listed[path]}  {path}\n" for path in paths]).encode())


def _add_declarations(draft: Draft, oxum: str, facts: BagFacts) -> None:
    version, mtime = facts["spec_version"], facts["mtime"]
    draft.add("bagit.txt", b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n")
    lines = {
        "Bag-Software-Agent": f"jobprov bundle specification {version}",
        "Bagging-Date": datetime.fromtimestamp(mtime, UTC).date().isoformat(),
        "Bundle-Spec-Version": str(version),
        "Closure-Level": f"L{facts['level']}",
        "External-Identifier": percent(facts["identifier"]),
        "Payload-Oxum": oxum,
    }
    if "record_sha256" in facts:
        lines["Record-Digest"] = f"sha256:{facts['record_sha256']}"
    draft.add(
        "bag-info.txt",
        "".join(f"{key}: {value}\n" for key, value in sorted(lines.items())).encode(),
    )


def manifest_lines(name: str, members: Iterable[Member]) -> bytes:
    """The lines of these members, which have their digests, in one of `DERIVED`."""
    if name == CKSUMS:
        return "".join(
            [
                f"{member.cksum:{_CKSUM_DIGITS}d} {member.size:{_SIZE_DIGITS}d} {member.path}\n"
                for member in members
            ]
        ).encode()
    if name.endswith("sha256.txt"):
        return "".join([f"{member.sha256}  {member.path}\n" for member in members]).encode()
    return "".join([f"{member.sha512}  {member.path}\n" for member in members]).encode()


def _before(name: str) -> int:
    """How many bytes a line of one of `DERIVED` has, its path apart."""
    return 3 + (
        _CKSUM_DIGITS + _SIZE_DIGITS if name == CKSUMS else _HEX[name[:-4].partition("-")[2]]
    )
