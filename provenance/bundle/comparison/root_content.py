"""root-content-2: what a ROOT file holds, whatever its compression, basket size, dates and ids.

One line of JSON an object (latest cycle; sorted): path, class, and for trees every branch: values
(flattened, little-endian, NaNs made one), counts of each nested level, number of entries. Branches
and objects that uproot cannot interpret count by their decompressed bytes and are marked opaque. It
is frozen: a digest that tells more needs another number. Python 3.6: part of a bundle's verify.py.
"""

# ruff: noqa: BLE001, ICN001, UP006, UP031, UP035, PTH123 - Python 3.6, and read by people who have
# no linter
import hashlib
import json
from typing import Any, Dict, Iterator, List

from jobprov.provenance.bundle.comparison.root_masking import UndecidedError, check_header

CHUNK_ENTRIES = 50000


def root_content(path: str) -> List[str]:
    """One line of canonical JSON for each object of a ROOT file, sorted.

    What root-content-2 digests.

    Raises:
        UndecidedError: uproot is not installed, or cannot read the file.
    """
    return sorted(json.dumps(item, sort_keys=True) for item in root_objects(path))


def root_objects(path: str) -> List[Dict[str, Any]]:
    """What each object of a ROOT file holds, sorted by path.

    Raises:
        UndecidedError: uproot is not installed, or cannot read the file.
    """
    with open(path, "rb") as file:
        check_header(path, file.read(64), file.seek(0, 2))
    try:
        with open_root(path) as file:
            return list(_objects(file))
    except UndecidedError:
        raise
    except Exception as error:  # uproot raises many kinds for what it cannot read
        raise UndecidedError(
            "%s cannot be read by uproot: %s" % (path, str(error).split("\n", 1)[0])
        ) from error


def open_root(path: str) -> Any:
    """The file, open in uproot, to be used in a `with`.

    Raises:
        UndecidedError: uproot is not installed.
    """
    try:
        import uproot  # noqa: PLC0415 - optional
    except ImportError:
        raise UndecidedError(
            "the content of ROOT files is compared by a Python with uproot; there is none here"
        ) from None
    return uproot.open(path)


def _objects(file: Any) -> Iterator[Dict[str, Any]]:
    for name, kind in sorted(file.classnames(recursive=True, cycle=False).items()):
        item = {"path": name, "class": kind}
        if not kind.startswith("TDirectory"):
            item.update(_describe(file, name, kind))
        yield item


def _describe(file: Any, name: str, kind: str) -> Dict[str, Any]:
    if kind in ("TTree", "TNtuple", "TNtupleD"):
        return _describe_tree(file[name])
    if kind == "ROOT::RNTuple":
        tuple_ = file[name]
        return {
            "entries": int(tuple_.num_entries),
            "fields": _digests(tuple_.arrays, int(tuple_.num_entries)),
        }
    if "RNTuple" in kind:
        # its key says where the data lie, not what they are: by its bytes any two of one shape
        # would be equal
        raise UndecidedError("%s is a %s, which uproot cannot read" % (name, kind))
    if kind.startswith(("TH1", "TH2", "TH3", "TProfile")):
        return _describe_histogram(file[name])
    key = file.key(name)
    chunk, cursor = key.get_uncompressed_chunk_cursor()
    return {"opaque": hashlib.sha256(bytes(cursor.bytes(chunk, key.fObjlen, {}))).hexdigest()}


def _describe_tree(tree: Any) -> Dict[str, Any]:
    entries = int(tree.num_entries)
    branches = {}
    for name, branch in tree.iteritems(recursive=True):
        # a branch that is split is told by its parts
        if not len(branch.branches):
            branches[name] = _describe_branch(branch, entries)
    return {"entries": entries, "branches": branches}


def _describe_branch(branch: Any, entries: int) -> Dict[str, str]:
    try:
        return _digests(branch.array, entries)
    except Exception:  # uproot raises many kinds for classes that it cannot interpret
        seen = hashlib.sha256()
        for number in range(branch.num_baskets):
            seen.update(bytes(branch.basket(number).raw_data))
        return {"opaque": seen.hexdigest()}


def _digests(read: Any, entries: int) -> Dict[str, str]:
    """Digest by level and field, over all entries in order.

    Read(entry_start, entry_stop) gives an awkward array.
    """
    seen = {}  # type: Dict[str, Any]
    for start in range(0, max(entries, 1), CHUNK_ENTRIES):
        _update(
            seen,
            "",
            read(entry_start=start, entry_stop=min(start + CHUNK_ENTRIES, entries), library="ak"),
        )
    return {key: digest.hexdigest() for key, digest in seen.items()}


def _update(seen: Dict[str, Any], label: str, array: Any) -> None:
    import awkward  # noqa: PLC0415 - comes with uproot

    if awkward.parameters(array).get("__array__") in ("string", "bytestring"):
        array, label = awkward.without_parameters(array), label + "string"
    if awkward.fields(array):
        for field in sorted(awkward.fields(array)):
            _update(seen, "%s.%s" % (label, field), array[field])
        return
    try:
        _update_flat(seen, label, awkward.to_numpy(array, allow_missing=False))
    except ValueError:
        counts = awkward.to_numpy(awkward.num(array, axis=1))
        _update_flat(seen, label + "#", counts.astype("<i8"))
        _update(seen, label + "[]", awkward.flatten(array, axis=1))


def _update_flat(seen: Dict[str, Any], label: str, values: Any) -> None:
    little = values.astype(values.dtype.newbyteorder("<"))
    if little.dtype.kind == "f":
        little[little != little] = float("nan")  # noqa: PLR0124 - only a NaN differs from itself
    key = "%s %s%s" % (label, little.dtype.str, list(little.shape[1:]) or "")
    seen.setdefault(key, hashlib.sha256()).update(little.tobytes())


def _describe_histogram(histogram: Any) -> Dict[str, Any]:
    seen = {}  # type: Dict[str, Any]
    import numpy  # noqa: PLC0415 - comes with uproot

    _update_flat(seen, "values", numpy.asarray(histogram.values(flow=True)).reshape(-1))
    for member in ("fSumw2", "fBinEntries"):
        if histogram.has_member(member):
            _update_flat(seen, member, numpy.asarray(histogram.member(member)).reshape(-1))
    for axis in histogram.axes:
        _update_flat(seen, "edges", numpy.asarray(axis.edges(flow=False)))
    digests = {key: digest.hexdigest() for key, digest in seen.items()}
    # these digests tell neither where one axis ends and the next begins, nor the names that bins
    # may have
    axes = [[len(axis.edges(flow=False)), list(axis.labels() or ())] for axis in histogram.axes]
    return {
        "bins": digests,
        "entries": repr(float(histogram.member("fEntries"))),
        "title": histogram.title,
        "axes": axes,
    }
