"""Content digests of outputs, and their comparison: what verify.py in a bundle and the package itself both run.

This file is copied into bundles as `verify.py`: it imports the standard library alone, and uproot where that is at hand, and
keeps to Python 3.6. Digests are `name-version:hex` (SHA-256):

root-content-1  what a ROOT file holds, whatever its compression, basket size, dates and ids. One line of JSON an object
                (latest cycle; sorted): path, class, and for trees every branch: values (flattened, little-endian, NaNs made
                one), counts of each nested level, number of entries. Branches and objects that uproot cannot interpret
                count by their decompressed bytes and are marked opaque.
root-masked-1   the bytes of a ROOT file with the dates of its keys and folders and its ids set to zero.
text-content-1  text with its line ends made LF.
"""

# ruff: noqa: D417, ICN001, PLR2004, PTH123, UP006, UP031, UP035, UP045 - Python 3.6, and read by people who have no linter
import argparse
import hashlib
import json
import re
import struct
import sys
import zlib
from typing import Any, Dict, Iterator, List, Optional, Tuple

CHUNK_ENTRIES = 50000
PIECE = 1 << 20
_CLASS_NAME = re.compile(rb"[\x02-\x7f][A-Z][A-Za-z0-9_:]")
DEEPEST = 100  # folders within folders; more is a damaged file


class UndecidedError(Exception):
    """The comparison cannot be made here; the message says what it would take."""


def content_digest(path: str, algorithm: str = "root-content-1") -> str:
    """The content digest of a file, `algorithm:hex`.

    Raises:
        UndecidedError: the algorithm is unknown, its library is not installed, or the file is not of its kind.
    """
    if algorithm == "root-content-1":
        text = "".join(line + "\n" for line in root_content(path))
        return _named(algorithm, hashlib.sha256(text.encode("utf-8")))
    if algorithm == "root-masked-1":
        return _named(algorithm, hashlib.sha256(mask_root(path)))
    if algorithm == "text-content-1":
        with open(path, "rb") as file:
            return _named(algorithm, hashlib.sha256(file.read().replace(b"\r\n", b"\n").replace(b"\r", b"\n")))
    raise UndecidedError("the content digest %s is not known to this version" % algorithm)


def _named(algorithm: str, seen: Any) -> str:
    return "%s:%s" % (algorithm, seen.hexdigest())


# --- root-content-1 ------------------------------------------------------------------------------


def root_content(path: str) -> List[str]:
    """One line of canonical JSON for each object of a ROOT file, sorted.

    Raises:
        UndecidedError: uproot is not installed, or cannot read the file.
    """
    try:
        import uproot  # noqa: PLC0415 - optional
    except ImportError:
        raise UndecidedError(
            "the content of ROOT files is compared by a Python with uproot; there is none here"
        ) from None
    try:
        with uproot.open(path) as file:
            return sorted(json.dumps(item, sort_keys=True) for item in _objects(file))
    except (OSError, ValueError, KeyError, struct.error) as error:
        raise UndecidedError("%s cannot be read as a ROOT file: %s" % (path, error)) from error


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
        return {"entries": int(tuple_.num_entries), "fields": _digests(tuple_.arrays, int(tuple_.num_entries))}
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
    except Exception:  # noqa: BLE001 - uproot raises many kinds for classes that it cannot interpret
        seen = hashlib.sha256()
        for number in range(branch.num_baskets):
            seen.update(bytes(branch.basket(number).raw_data))
        return {"opaque": seen.hexdigest()}


def _digests(read: Any, entries: int) -> Dict[str, str]:
    """Digest by level and field, over all entries in order; read(entry_start, entry_stop) gives an awkward array."""
    seen = {}  # type: Dict[str, Any]
    for start in range(0, max(entries, 1), CHUNK_ENTRIES):
        _update(seen, "", read(entry_start=start, entry_stop=min(start + CHUNK_ENTRIES, entries), library="ak"))
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
    return {"bins": digests, "entries": repr(float(histogram.member("fEntries"))), "title": histogram.title}


# --- root-masked-1 -------------------------------------------------------------------------------


def mask_root(path: str) -> bytes:
    """The bytes of a ROOT file with dates and ids set to zero.

    Source: ROOT's io/doc/TFile (header.md, datarecord.md, tdirectory.md, keyslist.md).

    Raises:
        UndecidedError: this is no ROOT file.
    """
    with open(path, "rb") as file:
        data = bytearray(file.read())
    if data[:4] != b"root":
        raise UndecidedError("%s is no ROOT file" % path)
    try:
        _mask(data)
    except (struct.error, IndexError) as error:
        raise UndecidedError("%s is cut short: %s" % (path, error)) from error
    return bytes(data)


def _mask(data: bytearray) -> None:
    version, begin = struct.unpack_from(">ii", data, 4)
    is_big = version >= 1000000
    (name_length,) = struct.unpack_from(">i", data, 36 if is_big else 28)
    _blank(data, 57 if is_big else 45, 18)
    # records cannot be walked one by one: writers leave holes without a length; but every key tells its own place
    for found in _CLASS_NAME.finditer(bytes(data)):
        for name_at, form in ((26, ">i"), (34, ">q")):
            at = found.start() - name_at
            if at >= begin and struct.unpack_from(form, data, at + 18)[0] == at:
                _blank(data, at + 10, 4)
    _mask_folder(data, begin + name_length)


def _mask_key(data: bytearray, at: int) -> Tuple[int, int, bytes]:
    """Blank a key's date; (length of the key, where its object is, class name)."""
    version, head = struct.unpack_from(">h", data, at + 4)[0], struct.unpack_from(">h", data, at + 14)[0]
    is_big = version > 1000  # keys past 2 GB have 8-byte offsets
    (place,) = struct.unpack_from(">q" if is_big else ">i", data, at + 18)
    name_at = at + (34 if is_big else 26)
    _blank(data, at + 10, 4)
    return head, place, bytes(data[name_at + 1 : name_at + 1 + data[name_at]])


def _mask_folder(data: bytearray, at: int, depth: int = 0) -> None:
    """Blank the dates and id of a folder and of the keys in its list, and so on below it."""
    is_big = struct.unpack_from(">h", data, at)[0] > 1000
    (list_at,) = struct.unpack_from(">q" if is_big else ">i", data, at + (34 if is_big else 26))
    _blank(data, at + 2, 8)
    _blank(data, at + (42 if is_big else 30), 18)
    if not 0 < list_at < len(data) or depth > DEEPEST:
        return
    head, _place, _kind = _mask_key(data, list_at)
    (count,) = struct.unpack_from(">i", data, list_at + head)
    key_at = list_at + head + 4
    for _number in range(count):
        length, place, kind = _mask_key(data, key_at)
        if kind.startswith(b"TDirectory"):
            _mask_folder(data, place + _mask_key(data, place)[0], depth + 1)
        key_at += length


def _blank(data: bytearray, at: int, length: int) -> None:
    stop = min(at + length, len(data))
    if at < stop:
        data[at:stop] = bytes(stop - at)


# --- comparing -----------------------------------------------------------------------------------


def compare(path: str, wanted: Dict[str, str]) -> Tuple[str, str, str]:
    """(IDENTICAL, EQUIVALENT or DIFFERENT; level; comparator) of an output and what was recorded of it.

    Args:
        wanted: `sha256`, `content`, `checksums`, `reference` (a file), `comparator`; `-` or empty where not recorded.

    Raises:
        UndecidedError: it cannot be told here.
    """
    known = {key: value for key, value in wanted.items() if value not in ("", "-")}
    exact = _compare_bytes(path, known)
    if exact is not None and (exact[0] == "IDENTICAL" or known.get("comparator") == "bytes"):
        return exact
    if "reference" in known:
        return _compare_reference(path, known["reference"])
    if "content" in known:
        return _compare_content(path, known["content"])
    raise UndecidedError("bytes differ, as they may, and the record has no content digest to compare with")


def _compare_bytes(path: str, known: Dict[str, str]) -> Optional[Tuple[str, str, str]]:
    checksums = dict(item.split(":", 1) for item in known.get("checksums", "").split(",") if ":" in item)
    if "sha256" in known:
        checksums = {"sha256": known["sha256"]}
    for algorithm in ("sha256", "sha512", "sha1", "md5", "adler32"):
        if algorithm in checksums:
            same = _checksum(path, algorithm) == checksums[algorithm].lower()
            return ("IDENTICAL", "R7", algorithm) if same else ("DIFFERENT", "R2", algorithm)
    return None


def _checksum(path: str, algorithm: str) -> str:
    adler = 1
    seen = hashlib.sha256() if algorithm == "adler32" else hashlib.new(algorithm)
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(PIECE), b""):
            adler = zlib.adler32(piece, adler)
            seen.update(piece)
    return "%08x" % adler if algorithm == "adler32" else seen.hexdigest()


def _compare_reference(path: str, reference: str) -> Tuple[str, str, str]:
    if mask_root(path) == mask_root(reference):
        return "EQUIVALENT", "R6", "root-masked-1"
    same = root_content(path) == root_content(reference)
    return ("EQUIVALENT", "R5", "root-content-1") if same else ("DIFFERENT", "R2", "root-content-1")


def _compare_content(path: str, recorded: str) -> Tuple[str, str, str]:
    algorithm = recorded.split(":", 1)[0]
    same = content_digest(path, algorithm) == recorded
    if algorithm == "root-masked-1" and not same:
        raise UndecidedError(
            "more than dates and ids differs, and the record has no root-content-1 digest to compare with"
        )
    return (
        ("EQUIVALENT", "R6" if algorithm == "root-masked-1" else "R5", algorithm)
        if same
        else ("DIFFERENT", "R2", algorithm)
    )


def main(arguments: List[str]) -> int:
    """`compare FILE …` prints `VERDICT LEVEL COMPARATOR`, or a sentence and answers 2; `digest FILE` prints content digests."""
    parser = argparse.ArgumentParser(prog="verify.py", description="Compare the content of an output with the record.")
    parser.add_argument("act", choices=["compare", "digest"])
    parser.add_argument("file")
    for option in ("sha256", "content", "checksums", "reference", "comparator"):
        parser.add_argument("--" + option, default="-")
    parser.add_argument("--algorithm", default="root-content-1")
    chosen = vars(parser.parse_args(arguments))
    try:
        if chosen["act"] == "digest":
            sys.stdout.write(content_digest(chosen["file"], chosen["algorithm"]) + "\n")
            return 0
        answer = compare(chosen["file"], chosen)
    except UndecidedError as error:
        sys.stdout.write("%s\n" % error)
        return 2
    sys.stdout.write("%s %s %s\n" % answer)
    return 0 if answer[0] != "DIFFERENT" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
