"""Files of two jobs side by side, and whether two are the same bytes.

They are compared by whatever digest or checksum both records name.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from jobprov.provenance.records.checksums import normal_checksum

Record = Mapping[str, Any]


def bytes_of(file: Record) -> str:
    """Return what names the bytes of a file: digest, else checksum and size, else its name."""
    if file.get("sha256"):
        return str(file["sha256"])
    if file.get("checksums"):
        return f"{normal_checksum(str(file['checksums'][0]))}, {file.get('size_bytes', '?')} bytes"
    return str(file["name"])


def unlike_bytes(mine: Record, other: Record) -> tuple[str, str] | None:
    """Return by what the bytes of two files differ, as each record names it.

    It is None where they are the same, as far as that is told.

    Records may name other algorithms, or the same in another order: what both name decides.
    """
    sums, others = _checksums(mine), _checksums(other)
    both = [name for name in sums if name in others]
    unlike = next((name for name in both if sums[name] != others[name]), None)
    sizes = mine.get("size_bytes"), other.get("size_bytes")
    if both and unlike is None and (None in sizes or sizes[0] == sizes[1]):
        return None
    told = bytes_of(mine), bytes_of(other)
    if told[0] == told[1] and unlike is not None:
        return f"{unlike}:{sums[unlike]}", f"{unlike}:{others[unlike]}"
    return told if told[0] != told[1] else None


def _checksums(file: Record) -> dict[str, str]:
    """Return the digest and the checksums of a file by algorithm, in the form that compares."""
    words = [f"sha256:{file['sha256']}"] if file.get("sha256") else []
    normal = (normal_checksum(str(word)) for word in (*words, *(file.get("checksums") or ())))
    return {name: value for name, _, value in (word.partition(":") for word in normal)}


def paired(
    old: Sequence[Record], new: Sequence[Record], sort: Callable[[Record], str]
) -> Iterator[tuple[Record | None, Record | None]]:
    """Yield files of equal bytes or name, then files of the same sort in order, then the rest."""
    left_old, left_new = list(old), list(new)
    for keys, fits in (
        (_checksums_of, lambda mine, other: unlike_bytes(mine, other) is None),
        (lambda file: (str(file["name"]),), _always),
        (lambda file: (sort(file),), _always),
    ):
        partners = _partners(left_old, left_new, keys, fits)
        yield from (
            (file, partner)
            for file, partner in zip(left_old, partners, strict=True)
            if partner is not None
        )
        taken = {id(partner) for partner in partners}
        left_old = [
            file for file, partner in zip(left_old, partners, strict=True) if partner is None
        ]
        left_new = [file for file in left_new if id(file) not in taken]
    yield from ((file, None) for file in left_old)
    yield from ((None, file) for file in left_new)


def _checksums_of(file: Record) -> Iterable[str]:
    return (f"{name}:{value}" for name, value in _checksums(file).items())


def _always(_mine: Record, _other: Record) -> bool:
    return True


def _partners(
    old: Sequence[Record],
    new: Sequence[Record],
    keys: Callable[[Record], Iterable[str]],
    fits: Callable[[Record, Record], bool],
) -> list[Record | None]:
    """Return for each old file the first new one that shares a key with it and is not yet taken."""
    waiting: dict[str, list[Record]] = {}
    for file in reversed(new):
        for key in keys(file):
            waiting.setdefault(key, []).append(file)
    taken: set[int] = set()
    found: list[Record | None] = []
    for file in old:
        partner = None
        for key in keys(file):
            alike = waiting.get(key, [])
            while alike and id(alike[-1]) in taken:
                alike.pop()
            if alike and fits(file, alike[-1]):
                partner = alike.pop()
                taken.add(id(partner))
                break
        found.append(partner)
    return found
