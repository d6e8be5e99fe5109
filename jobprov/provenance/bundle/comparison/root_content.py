"""root-content-2: what a ROOT file holds, whatever its compression, basket sizes, dates and ids.

One line of JSON for each object, in its latest cycle, sorted: its path and class, what a histogram
holds, and for each branch of a tree digests of the values (flattened, little-endian, all NaNs
alike) and of the counts of each nested level. Branches and objects that uproot cannot interpret
count by their decompressed bytes and are marked as opaque.

The digest is frozen. One that tells more needs another number.

Part of a bundle's verify.py: Python 3.6, standard library, and uproot where it is installed.
"""

import hashlib
import json
from typing import Any, Dict, Iterator, List

from jobprov.provenance.bundle.comparison.root_masking import (
    HEADER_BYTES,
    UndecidedError,
    check_header,
)

CHUNK_ENTRIES = 50000
TREES = ("TTree", "TNtuple", "TNtupleD")
_HISTOGRAMS = ("TH1", "TH2", "TH3", "TProfile")
_STRINGS = ("string", "bytestring")


def root_content(path: str) -> List[str]:
    """Return one line of canonical JSON for each object of a ROOT file, sorted.

    root-content-2 is the digest of these lines.

    Raises:
        UndecidedError: uproot is not installed, or cannot read the file.
    """
    return sorted(json.dumps(item, sort_keys=True) for item in root_objects(path))


def root_objects(path: str) -> List[Dict[str, Any]]:
    """Return what each object of a ROOT file holds, sorted by path.

    Raises:
        UndecidedError: uproot is not installed, or cannot read the file.
    """
    with open(path, "rb") as file:
        check_header(path, file.read(HEADER_BYTES), file.seek(0, 2))
    try:
        with open_root(path) as file:
            return list(_objects(file))
    except UndecidedError:
        raise
    except Exception as error:  # uproot raises many kinds for what it cannot read
        reason = str(error).split("\n", 1)[0]
        raise UndecidedError(f"{path} cannot be read by uproot: {reason}") from error


def open_root(path: str) -> Any:
    """Return the file as uproot opens it, to be used in a `with`.

    Raises:
        UndecidedError: uproot is not installed.
    """
    try:
        import uproot
    except ImportError:
        raise UndecidedError(
            "comparing the content of ROOT files needs a Python with uproot; none was found here"
        ) from None
    return uproot.open(path)


def entry_ranges(entries: int) -> Iterator[Dict[str, Any]]:
    """Yield what uproot takes to read a branch in chunks.

    At least one, since types count where there are no entries.
    """
    for start in range(0, max(entries, 1), CHUNK_ENTRIES):
        stop = min(start + CHUNK_ENTRIES, entries)
        yield {"entry_start": start, "entry_stop": stop, "library": "ak"}


def without_string_type(array: Any) -> Any:
    """Return an awkward array with strings as lists of bytes; any other as it is."""
    import awkward

    if awkward.parameters(array).get("__array__") in _STRINGS:
        return awkward.without_parameters(array)
    return array


def canonical(values: Any) -> Any:
    """Return numbers as little-endian ones, all NaNs alike."""
    import numpy

    little = values.astype(values.dtype.newbyteorder("<"))
    if little.dtype.kind == "f":
        little[numpy.isnan(little)] = float("nan")
    return little


def _objects(file: Any) -> Iterator[Dict[str, Any]]:
    for name, kind in sorted(file.classnames(recursive=True, cycle=False).items()):
        item = {"path": name, "class": kind}
        if not kind.startswith("TDirectory"):
            item.update(_describe(file, name, kind))
        yield item


def _describe(file: Any, name: str, kind: str) -> Dict[str, Any]:
    """Return what an object holds, its path and class apart."""
    if kind in TREES:
        return _describe_tree(file[name])
    if kind == "ROOT::RNTuple":
        return _describe_ntuple(file[name])
    if "RNTuple" in kind:
        # Its key says where the data lie and nothing of the data: by its bytes, any two of one
        # shape would be equal
        raise UndecidedError(f"{name} is a {kind}, which uproot cannot read")
    if kind.startswith(_HISTOGRAMS):
        return _describe_histogram(file[name])
    key = file.key(name)
    chunk, cursor = key.get_uncompressed_chunk_cursor()
    data = bytes(cursor.bytes(chunk, key.fObjlen, {}))
    return {"opaque": hashlib.sha256(data).hexdigest()}


def _describe_tree(tree: Any) -> Dict[str, Any]:
    entries = int(tree.num_entries)
    branches = {}
    for name, branch in tree.iteritems(recursive=True):
        is_split = len(branch.branches) > 0
        if not is_split:  # else its parts say all
            branches[name] = _describe_branch(branch, entries)
    return {"entries": entries, "branches": branches}


def _describe_ntuple(ntuple: Any) -> Dict[str, Any]:
    entries = int(ntuple.num_entries)
    return {"entries": entries, "fields": _digests_of(ntuple.arrays, entries)}


def _describe_branch(branch: Any, entries: int) -> Dict[str, str]:
    try:
        return _digests_of(branch.array, entries)
    except Exception:  # uproot raises many kinds for classes that it cannot interpret
        digest = hashlib.sha256()
        for number in range(branch.num_baskets):
            digest.update(bytes(branch.basket(number).raw_data))
        return {"opaque": digest.hexdigest()}


def _digests_of(read: Any, entries: int) -> Dict[str, str]:
    """Return the digests of all entries; `read` is what gives an array of uproot."""
    digests = _Digests()
    for entry_range in entry_ranges(entries):
        digests.add_array("", read(**entry_range))
    return digests.as_hex()


def _describe_histogram(histogram: Any) -> Dict[str, Any]:
    import numpy

    digests = _Digests()
    digests.add_numbers("values", numpy.asarray(histogram.values(flow=True)).reshape(-1))
    for member in ("fSumw2", "fBinEntries"):
        if histogram.has_member(member):
            digests.add_numbers(member, numpy.asarray(histogram.member(member)).reshape(-1))
    # These digests tell neither where one axis ends and the next begins, nor the names of bins
    axes = []
    for axis in histogram.axes:
        edges = numpy.asarray(axis.edges(flow=False))
        digests.add_numbers("edges", edges)
        axes.append([len(edges), list(axis.labels() or ())])
    return {
        "bins": digests.as_hex(),
        "entries": repr(float(histogram.member("fEntries"))),
        "title": histogram.title,
        "axes": axes,
    }


class _Digests:
    """Digests of arrays by level and field, which are given a chunk of entries at a time."""

    def __init__(self) -> None:
        self._by_label: Dict[str, Any] = {}

    def add_array(self, label: str, array: Any) -> None:
        """Add an awkward array: its fields, then its nested levels with their counts."""
        import awkward

        plain = without_string_type(array)
        if plain is not array:
            label += "string"
        if awkward.fields(plain):
            for field in sorted(awkward.fields(plain)):
                self.add_array(f"{label}.{field}", plain[field])
            return
        try:
            self.add_numbers(label, awkward.to_numpy(plain, allow_missing=False))
        except ValueError:  # lists of different lengths
            counts = awkward.to_numpy(awkward.num(plain, axis=1))
            self.add_numbers(f"{label}#", counts.astype("<i8"))
            self.add_array(f"{label}[]", awkward.flatten(plain, axis=1))

    def add_numbers(self, label: str, values: Any) -> None:
        """Add a numpy array."""
        numbers = canonical(values)
        shape = list(numbers.shape[1:]) or ""  # of one entry, where it has more than one number
        key = f"{label} {numbers.dtype.str}{shape}"
        if key not in self._by_label:
            self._by_label[key] = hashlib.sha256()
        self._by_label[key].update(numbers.tobytes())

    def as_hex(self) -> Dict[str, str]:
        """Return the digests of all that was added, by level and field."""
        return {key: digest.hexdigest() for key, digest in self._by_label.items()}
