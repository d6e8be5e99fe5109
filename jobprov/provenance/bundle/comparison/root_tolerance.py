"""ROOT files that are not equal, and may be near enough.

root-unordered-1: every tree has the same entries, each with the same values in every branch, in any
order. numeric-1: the same objects, branches and numbers of entries; floating-point numbers within a
tolerance, and everything else equal.

Each function compares the file of a rerun (`path`) with the recorded one (`reference`).

Part of a bundle's verify.py: Python 3.6, standard library and uproot.
"""

import fnmatch
import hashlib
from typing import Any, Dict, Iterator, List, NamedTuple, Sequence, Tuple

from jobprov.provenance.bundle.comparison.parameters import Comparator
from jobprov.provenance.bundle.comparison.root_content import (
    TREES,
    canonical,
    entry_ranges,
    open_root,
    root_objects,
    without_string_type,
)


def kept_content(path: str, comparator: Comparator) -> List[Dict[str, Any]]:
    """Return what each object of a ROOT file holds, without what the comparator ignores."""
    kept = []
    for item in root_objects(path):
        name = item["path"]
        if _is_ignored(name, comparator):
            continue
        for part in ("branches", "fields"):
            if part in item:
                item[part] = _kept_branches(name, item[part], comparator)
        kept.append(item)
    return kept


def _kept_branches(tree: str, branches: Dict[str, Any], comparator: Comparator) -> Dict[str, Any]:
    folder = _without_cycle(tree)
    return {
        name: digests
        for name, digests in branches.items()
        if not _is_ignored(f"{folder}/{name}", comparator)
    }


def _is_ignored(name: str, comparator: Comparator) -> bool:
    plain = _without_cycle(name)
    return any(fnmatch.fnmatchcase(plain, pattern) for pattern in comparator.ignore)


def _without_cycle(name: str) -> str:
    """Return `folder/name` of `folder/name;2`."""
    folder, slash, last = name.rpartition("/")
    return folder + slash + last.rsplit(";", 1)[0]


def is_same_unordered(path: str, reference: str, comparator: Comparator) -> bool:
    """Return whether both files hold the same, apart from the order of the entries in each tree."""
    rerun, recorded = kept_content(path, comparator), kept_content(reference, comparator)
    if list(map(_without_order, rerun)) != list(map(_without_order, recorded)):
        return False
    with open_root(path) as file, open_root(reference) as recorded_file:
        for item in rerun:
            if item["class"] not in TREES:
                continue
            name, branches = item["path"], interpreted_branches(item)
            if _entry_set(file[name], branches) != _entry_set(recorded_file[name], branches):
                return False
    return True


def _without_order(item: Dict[str, Any]) -> Dict[str, Any]:
    """Return an object without the digests that change where entries are put in another order."""
    if item["class"] not in TREES:
        return item
    opaque = {name: value for name, value in item["branches"].items() if "opaque" in value}
    return dict(item, branches=[sorted(item["branches"]), opaque])


def interpreted_branches(item: Dict[str, Any]) -> List[str]:
    """Return the branches of a tree that uproot can interpret.

    The others were compared by their bytes.
    """
    return sorted(name for name, value in item["branches"].items() if "opaque" not in value)


class _EntrySet(NamedTuple):
    """The types of a tree's branches, and a digest of all its entries, whatever their order."""

    types: List[List[Tuple[str, str]]]
    digest: str


def _entry_set(tree: Any, branches: Sequence[str]) -> _EntrySet:
    if not branches:
        return _EntrySet([], hashlib.sha256().hexdigest())
    digests: List[bytes] = []
    for entry_range in entry_ranges(int(tree.num_entries)):
        arrays = [tree[name].array(**entry_range) for name in branches]
        columns = [_rows(array) for array in arrays]
        for entry in zip(*columns):
            digests.append(hashlib.sha256(b"".join(entry)).digest())
    types = [_types_of(array) for array in arrays]
    return _EntrySet(types, hashlib.sha256(b"".join(sorted(digests))).hexdigest())


def _types_of(array: Any) -> List[Tuple[str, str]]:
    return [(label, canonical(values).dtype.str) for label, values in flat_parts(array)]


def _rows(array: Any) -> List[bytes]:
    """Return the bytes of each entry of a branch: nested levels with counts, all NaNs alike.

    Counts stand also where all lists of a chunk are equally long. Without them, a value could pass
    from one branch to the next.
    """
    import awkward

    plain = without_string_type(array)
    if awkward.fields(plain):
        columns = [_rows(plain[field]) for field in sorted(awkward.fields(plain))]
        return [b"".join(parts) for parts in zip(*columns)]
    if plain.ndim == 1:
        values = canonical(awkward.to_numpy(plain, allow_missing=False))
        data, width = values.tobytes(), values.itemsize
        return [data[at : at + width] for at in range(0, len(data), width)]
    inner = _rows(awkward.flatten(plain, axis=1))
    rows, at = [], 0
    for count in map(int, awkward.num(plain, axis=1)):
        rows.append(b"%d:" % count + b"".join(inner[at : at + count]))
        at += count
    return rows


def is_near_root(path: str, reference: str, comparator: Comparator) -> bool:
    """Return whether both files hold the same objects, with numbers within the tolerance."""
    rerun, recorded = kept_content(path, comparator), kept_content(reference, comparator)
    if list(map(_without_numbers, rerun)) != list(map(_without_numbers, recorded)):
        return False
    with open_root(path) as file, open_root(reference) as recorded_file:
        for item in rerun:
            if not _is_near_object(item, file, recorded_file, comparator):
                return False
    return True


def _without_numbers(item: Dict[str, Any]) -> Dict[str, Any]:
    """Return an object without the digests of its numbers.

    What is not a number, such as a histogram's title, stays.
    """
    if "bins" in item:
        return {name: value for name, value in item.items() if name not in ("bins", "entries")}
    return _without_order(item)


def _is_near_object(
    item: Dict[str, Any], file: Any, recorded_file: Any, comparator: Comparator
) -> bool:
    name = item["path"]
    if "bins" in item:
        return _is_near_histogram(file[name], recorded_file[name], comparator)
    if item["class"] in TREES:
        return _is_near_tree(
            file[name], recorded_file[name], interpreted_branches(item), comparator
        )
    return True  # its bytes are equal


def _is_near_histogram(histogram: Any, recorded: Any, comparator: Comparator) -> bool:
    pairs = zip(_histogram_numbers(histogram), _histogram_numbers(recorded))
    return all(_is_near_array(numbers, known, comparator) for numbers, known in pairs)


def _is_near_tree(
    tree: Any, recorded: Any, branches: Sequence[str], comparator: Comparator
) -> bool:
    for name in branches:
        for entry_range in entry_ranges(int(tree.num_entries)):
            numbers = tree[name].array(**entry_range)
            known = recorded[name].array(**entry_range)
            if not _is_near_array(numbers, known, comparator):
                return False
    return True


def _histogram_numbers(histogram: Any) -> List[Any]:
    import numpy

    numbers = [
        numpy.asarray(histogram.values(flow=True)),
        numpy.asarray([float(histogram.member("fEntries"))]),
    ]
    for member in ("fSumw2", "fBinEntries"):
        if histogram.has_member(member):
            numbers.append(numpy.asarray(histogram.member(member)))
    for axis in histogram.axes:
        numbers.append(numpy.asarray(axis.edges(flow=False)))
    return numbers


def _is_near_array(array: Any, recorded: Any, comparator: Comparator) -> bool:
    """Return whether two arrays have the same structure, and all floating-point numbers are near.

    Integers must be equal.
    """
    parts, recorded_parts = dict(flat_parts(array)), dict(flat_parts(recorded))
    if sorted(parts) != sorted(recorded_parts):
        return False
    return all(
        _are_near_numbers(values, recorded_parts[label], comparator)
        for label, values in parts.items()
    )


def _are_near_numbers(values: Any, recorded: Any, comparator: Comparator) -> bool:
    import numpy

    if values.shape != recorded.shape or values.dtype.kind != recorded.dtype.kind:
        return False
    if values.dtype.kind != "f":
        return bool((values == recorded).all())
    is_near = numpy.isclose(
        values, recorded, rtol=comparator.relative, atol=comparator.absolute, equal_nan=True
    )
    return bool(is_near.all())


def flat_parts(array: Any, label: str = "") -> Iterator[Tuple[str, Any]]:
    """Yield (label, flat numpy values) of every level and field of an array, counts included.

    Labels follow from the type alone.
    """
    import awkward
    import numpy

    if isinstance(array, numpy.ndarray):
        yield label, array
        return
    plain = without_string_type(array)
    if awkward.fields(plain):
        for field in sorted(awkward.fields(plain)):
            yield from flat_parts(plain[field], f"{label}.{field}")
    elif plain.ndim == 1:
        yield label, awkward.to_numpy(plain, allow_missing=False)
    else:
        yield f"{label}#", awkward.to_numpy(awkward.num(plain, axis=1))
        yield from flat_parts(awkward.flatten(plain, axis=1), f"{label}[]")
