"""Files of two jobs side by side, and whether two are the same bytes: by whatever digest or checksum both records name."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Record = Mapping[str, Any]


def bytes_of(file: Record) -> str:
    """Return what names the bytes of a file: digest, else checksum and size, else its name."""
    if file.get("sha256"):
        return str(file["sha256"])
    if file.get("checksums"):
        return f"{file['checksums'][0]}, {file.get('size_bytes', '?')} bytes"
    return str(file["name"])


def unlike_bytes(mine: Record, other: Record) -> tuple[str, str] | None:
    """Return by what the bytes of two files differ, as each record names it; None where they are the same, as far as that is told.

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
    """Return the digest and the checksums of a file by algorithm."""
    words = [f"sha256:{file['sha256']}"] if file.get("sha256") else []
    return {
        name: value
        for name, _, value in (str(word).partition(":") for word in (*words, *(file.get("checksums") or ())))
    }


def paired(
    old: Sequence[Record], new: Sequence[Record], sort: Callable[[Record], str]
) -> Iterator[tuple[Record | None, Record | None]]:
    """Yield files of the same bytes or name, then those of the same sort in order, then what is left alone."""
    left_old, left_new = list(old), list(new)
    for same in (bytes_of, lambda file: str(file["name"]), sort):
        waiting: dict[str, list[Record]] = {}
        for file in reversed(left_new):
            waiting.setdefault(same(file), []).append(file)
        rest: list[Record] = []
        taken: set[int] = set()
        for file in left_old:
            partners = waiting.get(same(file))
            if partners:
                partner = partners.pop()
                taken.add(id(partner))
                yield file, partner
            else:
                rest.append(file)
        left_old, left_new = rest, [file for file in left_new if id(file) not in taken]
    yield from ((file, None) for file in left_old)
    yield from ((None, file) for file in left_new)
