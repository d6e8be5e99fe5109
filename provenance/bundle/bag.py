"""The BagIt files of a bundle, written by hand (libraries stamp today's date and their own version into them).

The manifests are not stored: they follow from the members while these are written. FROZEN, as the tar is: golden digests in the
tests hold their bytes. `posix-cksum.txt` is for a machine with no other tool than POSIX's own.
Source: RFC 8493 (BagIt 1.0); POSIX.1-2017, cksum.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from provenance.bundle.draft import Draft, Member
from provenance.bundle.names import percent

ALGORITHMS = ("sha256", "sha512")
CKSUMS = "posix-cksum.txt"
DERIVED = frozenset(
    {CKSUMS, *(f"{kind}-{algorithm}.txt" for kind in ("manifest", "tagmanifest") for algorithm in ALGORITHMS)}
)
_HEX = {"sha256": 64, "sha512": 128}
_CKSUM_DIGITS, _SIZE_DIGITS = 10, 12


def add_bag(
    draft: Draft, *, identifier: str, spec_version: int, level: int, mtime: int, record_sha256: str | None = None
) -> None:
    """Write bagit.txt and bag-info.txt, and note what the writer will make; to be called when the payload is whole."""
    count, size_bytes, path_bytes = draft.payload_sums()
    draft.add("bagit.txt", b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n")
    facts = {
        "Bag-Software-Agent": f"jobprov bundle specification {spec_version}",
        "Bagging-Date": datetime.fromtimestamp(mtime, UTC).date().isoformat(),
        "Bundle-Spec-Version": str(spec_version),
        "Closure-Level": f"L{level}",
        "External-Identifier": percent(identifier),
        "Payload-Oxum": f"{size_bytes}.{count}",
    }
    if record_sha256 is not None:
        facts["Record-Digest"] = f"sha256:{record_sha256}"
    draft.add("bag-info.txt", "".join(f"{key}: {value}\n" for key, value in sorted(facts.items())).encode())
    # the writer's order: each of these lists what was written before it
    for name in (
        "manifest-sha256.txt",
        "manifest-sha512.txt",
        CKSUMS,
        "tagmanifest-sha256.txt",
        "tagmanifest-sha512.txt",
    ):
        if name.startswith("tagmanifest-"):
            tags = [len(member.path) for member in draft.own() if not member.path.startswith(("data/", "tagmanifest-"))]
            draft.add_derived(name, len(tags) * _before(name) + sum(tags))
        else:
            draft.add_derived(name, count * _before(name) + path_bytes)


def manifest_lines(name: str, members: Iterable[Member]) -> bytes:
    """The lines of these members, which have their digests, in one of `DERIVED`."""
    if name == CKSUMS:
        return "".join(
            [f"{member.cksum:{_CKSUM_DIGITS}d} {member.size:{_SIZE_DIGITS}d} {member.path}\n" for member in members]
        ).encode()
    if name.endswith("sha256.txt"):
        return "".join([f"{member.sha256}  {member.path}\n" for member in members]).encode()
    return "".join([f"{member.sha512}  {member.path}\n" for member in members]).encode()


def _before(name: str) -> int:
    """How many bytes a line of one of `DERIVED` has, its path apart."""
    return 3 + (_CKSUM_DIGITS + _SIZE_DIGITS if name == CKSUMS else _HEX[name[:-4].partition("-")[2]])
