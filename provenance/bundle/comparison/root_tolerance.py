"""ROOT files that are not equal, and how near they are.

Entries in another order, numbers within a tolerance.

root-unordered-1: every tree has the same entries, each with the same values in every branch, in any
order. numeric-1: the same objects, entries and branches; floating-point numbers within a tolerance,
everything else equal.

Each compares a file with the recorded one. `ignore` in a rule leaves out objects (`path`) and
branches (`path/branch`) by pattern. Needs uproot; Python 3.6: part of a bundle's verify.py.
"""

# ruff: noqa: B905, ICN001, PLC0415, UP006, UP031, UP035 - Python 3.6, and read by people who have
# no linter
import fnmatch
import hashlib
from typing import Any, Dict, Iterator, List, Tuple

from jobprov.provenance.bundle.comparison.root_content import CHUNK_ENTRIES, open_root, root_objects

TREES = ("TTree", "TNtuple", "TNtupleD")


def kept_content(path: str, rule: Dict[str, Any]) -> List[Dict[str, Any]]:
    """The content of a ROOT file, one entry an object, without what the rule ignores."""
    kept = []
    for item in root_objects(path):
        if _is_ignored(item["path"], rule):
            continue
        for part in ("branches", "fields"):
            if part in item:
                item[part] = {
                    name: value
                    for name, value in item[part].items()
                    if not _is_ignored(_below(item["path"], name), rule)
                }
        kept.append(item)
    return kept


def _is_ignored(name: str, rule: Dict[str, Any]) -> bool:
    plain = name.rsplit(";", 1)[0] if ";" in name.rsplit("/", 1)[-1] else name
    return any(fnmatch.fnmatchcase(plain, pattern) for pattern in rule.get("ignore", ()))


def _below(path: str, name: str) -> str:
    return "%s/%s" % (path.rsplit(";", 1)[0], name)


def is_same_unordered(path: str, reference: str, rule: Dict[str, Any]) -> bool:
    """Whether both files hold the same, up to the order of the entries of each tree."""
    one, other = kept_content(path, rule), kept_content(reference, rule)
    if [_but_order(item) for item in one] != [_but_order(item) for item in other]:
        return False
    trees = [item for item in one if item["class"] in TREES]
    with open_root(path) as file, open_root(reference) as recorded:
        return all(
            _entry_set(file[tree["path"]], tree) == _entry_set(recorded[tree["path"]], tree)
            for tree in trees
        )


def _but_order(item: Dict[str, Any]) -> Dict[str, Any]:
    """An object without the digests that change when its entries are put in another order."""
    if item["class"] not in TREES:
        return item
    opaque = {name: value for name, value in item["branches"].items() if "opaque" in value}
    return dict(item, branches=[sorted(item["branches"]), opaque])


def _entry_set(tree: Any, described: Dict[str, Any]) -> Tuple[List[Any], str]:
    """The types of a tree's branches, and a digest of all its entries, whatever their order."""
    entries, types = [], []  # type: List[bytes], List[Any]
    names = interpreted(described)
    for start in range(0, max(int(tree.num_entries), 1) if names else 0, CHUNK_ENTRIES):
        ends = {"entry_start": start, "entry_stop": start + CHUNK_ENTRIES, "library": "ak"}
        arrays = [tree[name].array(**ends) for name in names]
        types = [_types_of(array) for array in arrays]
        entries += [hashlib.sha256(b"".join(row)).digest() for row in zip(*map(_rows, arrays))]
    return types, hashlib.sha256(b"".join(sorted(entries))).hexdigest()


def _types_of(array: Any) -> List[Tuple[str, str]]:
    return [(label, canonical(values).dtype.str) for label, values in flat_parts(array)]


def interpreted(described: Dict[str, Any]) -> List[str]:
    """The branches of a tree that uproot can interpret; the others were compared by their bytes."""
    return sorted(name for name, value in described["branches"].items() if "opaque" not in value)


def _rows(array: Any) -> List[bytes]:
    """The bytes of each entry of a column, nested levels with their counts, NaNs made one.

    Counts also where all lists of a chunk are equally long: without them a value could pass from
    one branch to the next.
    """
    import awkward

    if awkward.parameters(array).get("__array__") in ("string", "bytestring"):
        array = awkward.without_parameters(array)
    if awkward.fields(array):
        columns = [_rows(array[field]) for field in sorted(awkward.fields(array))]
        return [b"".join(parts) for parts in zip(*columns)]
    if array.ndim == 1:
        values = canonical(awkward.to_numpy(array, allow_missing=False))
        data = values.tobytes()
        return [data[at : at + values.itemsize] for at in range(0, len(data), values.itemsize)]
    inner, rows, at = _rows(awkward.flatten(array, axis=1)), [], 0
    for count in map(int, awkward.num(array, axis=1)):
        rows.append(b"%d:" % count + b"".join(inner[at : at + count]))
        at += count
    return rows


def canonical(values: Any) -> Any:
    """Values little-endian, NaNs made one."""
    little = values.astype(values.dtype.newbyteorder("<"))
    if little.dtype.kind == "f":
        little[little != little] = float("nan")  # noqa: PLR0124 - only a NaN differs from itself
    return little


def is_near_root(path: str, reference: str, rule: Dict[str, Any]) -> bool:
    """Whether both files hold the same objects, with numbers within the rule's tolerance."""
    one, other = kept_content(path, rule), kept_content(reference, rule)
    if [_but_numbers(item) for item in one] != [_but_numbers(item) for item in other]:
        return False
    with open_root(path) as file, open_root(reference) as recorded:
        return all(_is_near_object(item, file, recorded, rule) for item in one)


def _but_numbers(item: Dict[str, Any]) -> Dict[str, Any]:
    """An object without the digests of its numbers.

    What is no number (a histogram's title) stays.
    """
    if "bins" in item:
        return {name: value for name, value in item.items() if name not in ("bins", "entries")}
    return _but_order(item)


def _is_near_object(item: Dict[str, Any], file: Any, recorded: Any, rule: Dict[str, Any]) -> bool:
    name = item["path"]
    if "bins" in item:
        pairs = zip(_histogram_numbers(file[name]), _histogram_numbers(recorded[name]))
        return all(_is_near_array(one, other, rule) for one, other in pairs)
    if item["class"] not in TREES:
        return True
    tree, reference = file[name], recorded[name]
    for branch in interpreted(item):
        # once at least: types count in empty trees too
        for start in range(0, max(int(tree.num_entries), 1), CHUNK_ENTRIES):
            ends = {"entry_start": start, "entry_stop": start + CHUNK_ENTRIES, "library": "ak"}
            if not _is_near_array(
                tree[branch].array(**ends), reference[branch].array(**ends), rule
            ):
                return False
    return True


def _histogram_numbers(histogram: Any) -> List[Any]:
    import numpy

    numbers = [
        numpy.asarray(histogram.values(flow=True)),
        numpy.asarray([float(histogram.member("fEntries"))]),
    ]
    numbers += [
        numpy.asarray(histogram.member(name))
        for name in ("fSumw2", "fBinEntries")
        if histogram.has_member(name)
    ]
    return numbers + [numpy.asarray(axis.edges(flow=False)) for axis in histogram.axes]


def _is_near_array(one: Any, other: Any, rule: Dict[str, Any]) -> bool:
    """Whether the structure is the same, and every floating-point number near.

    Integers must be equal.
    """
    import numpy

    left, right = dict(flat_parts(one)), dict(flat_parts(other))
    if sorted(left) != sorted(right):
        return False
    for label, values in left.items():
        recorded = right[label]
        if values.shape != recorded.shape or values.dtype.kind != recorded.dtype.kind:
            return False
        if values.dtype.kind == "f":
            near = rule.get("absolute", 0.0), rule.get("relative", 0.0)
            if not numpy.isclose(
                values, recorded, atol=near[0], rtol=near[1], equal_nan=True
            ).all():
                return False
        elif not (values == recorded).all():
            return False
    return True


def flat_parts(array: Any, label: str = "") -> Iterator[Tuple[str, Any]]:
    """(label, flat numpy values) of every level and field of an array, counts included.

    Labels follow from the type alone.
    """
    import awkward
    import numpy

    if isinstance(array, numpy.ndarray):
        yield label, array
        return
    if awkward.parameters(array).get("__array__") in ("string", "bytestring"):
        array = awkward.without_parameters(array)
    if awkward.fields(array):
        for field in sorted(awkward.fields(array)):
            for part in flat_parts(array[field], "%s.%s" % (label, field)):
                yield part
        return
    if array.ndim == 1:
        yield label, awkward.to_numpy(array, allow_missing=False)
        return
    yield label + "#", awkward.to_numpy(awkward.num(array, axis=1))
    for part in flat_parts(awkward.flatten(array, axis=1), label + "[]"):
        yield part
