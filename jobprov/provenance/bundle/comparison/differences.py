"""What differs between an output and the recorded file, in sentences for people.

Of text the lines, of ROOT files the objects, branches and numbers, with the largest difference: a
tolerance may be chosen by it. Nothing here decides a verdict.

Part of a bundle's verify.py: Python 3.6, standard library, and uproot where it is installed.
"""

from typing import Any, Dict, Iterator, List

from jobprov.provenance.bundle.comparison.parameters import Comparator
from jobprov.provenance.bundle.comparison.root_content import TREES, entry_ranges, open_root
from jobprov.provenance.bundle.comparison.root_tolerance import flat_parts, kept_content
from jobprov.provenance.bundle.comparison.text_comparison import differing_numbers, masked_text

_MOST = 5
"""Sentences on one output; the rest is counted."""
_LONGEST = 120


def differences(path: str, reference: str, comparator: Comparator) -> List[str]:
    """Return what differs between an output and the recorded file.

    Raises:
        UndecidedError: uproot is not installed, or cannot read one of the files.
    """
    with open(reference, "rb") as file:
        is_root = file.read(5) == b"root\0"
    if is_root:
        found = list(_of_root(path, reference, comparator))
    else:
        text, recorded = (masked_text(file, comparator.mask) for file in (path, reference))
        found = [*_of_numbers(text, recorded), *_of_lines(text, recorded)]
    if len(found) > _MOST:
        found[_MOST:] = [f"and {len(found) - _MOST} more differences"]
    return found


def _of_numbers(text: str, recorded: str) -> Iterator[str]:
    """Yield the largest relative difference, if two texts have the same words but for numbers."""
    pairs = differing_numbers(text, recorded)
    if pairs:
        number, known = max(pairs, key=lambda pair: abs(pair[0] - pair[1]) / (abs(pair[1]) or 1))
        size = abs(number - known) / (abs(known) or 1)
        yield (
            f"only numbers differ, by {size:.2g} of the recorded one at most: "
            f"{number}, recorded was {known}"
        )


def _of_lines(text: str, recorded: str) -> Iterator[str]:
    lines, recorded_lines = text.split("\n"), recorded.split("\n")
    for number, (line, recorded_line) in enumerate(zip(lines, recorded_lines), 1):
        if line != recorded_line:
            yield f"line {number}: {_shown(line)}, recorded was {_shown(recorded_line)}"
    if len(lines) != len(recorded_lines):
        yield f"line ends {len(lines) - 1}, recorded were {len(recorded_lines) - 1}"


def _shown(line: str) -> str:
    short = line if len(line) <= _LONGEST else line[:_LONGEST] + "..."
    return ascii(short)


def _of_root(path: str, reference: str, comparator: Comparator) -> Iterator[str]:
    objects = {item["path"]: item for item in kept_content(path, comparator)}
    recorded = {item["path"]: item for item in kept_content(reference, comparator)}
    with open_root(path) as file, open_root(reference) as recorded_file:
        for name in sorted(set(objects) | set(recorded)):
            if name not in recorded:
                yield f"{name} was not recorded"
            elif name not in objects:
                yield f"{name} is missing"
            elif objects[name] != recorded[name]:
                for difference in _of_object(objects[name], recorded[name], file, recorded_file):
                    yield f"{name}: {difference}"


def _of_object(
    item: Dict[str, Any], known: Dict[str, Any], file: Any, recorded_file: Any
) -> Iterator[str]:
    """Yield what differs between two objects of one path."""
    if item["class"] != known["class"]:
        yield f"it is a {item['class']}, recorded was a {known['class']}"
        return
    for fact in ("entries", "title", "axes"):
        if item.get(fact) != known.get(fact):
            yield f"{fact} {item[fact]}, recorded were {known[fact]}"
    name = item["path"]
    if item.get("bins") != known.get("bins") and item["axes"] == known["axes"]:
        values, known_values = file[name].values(flow=True), recorded_file[name].values(flow=True)
        yield f"bins differ{_largest(values.reshape(-1), known_values.reshape(-1))}"
    for branch in _differing_branches(item, known):
        if branch not in known.get("branches", {}):
            yield f"only this file has the branch {branch}"
        elif branch not in item.get("branches", {}):
            yield f"only the record has the branch {branch}"
        elif item["class"] in TREES and item["entries"] == known["entries"]:
            largest = _largest_of_branch(file[name][branch], recorded_file[name][branch])
            yield f"branch {branch} differs{largest}"
        else:
            yield f"branch {branch} differs"
    if item.get("opaque") != known.get("opaque") or item.get("fields") != known.get("fields"):
        yield "its content differs"


def _differing_branches(item: Dict[str, Any], known: Dict[str, Any]) -> List[str]:
    """Return the branches that only one of two objects has, or that differ."""
    branches, known_branches = item.get("branches", {}), known.get("branches", {})
    names = sorted(set(branches) | set(known_branches))
    return [name for name in names if branches.get(name) != known_branches.get(name)]


def _largest_of_branch(branch: Any, recorded: Any) -> str:
    """Return the largest difference of any number, where all entries have the same shape."""
    for entry_range in entry_ranges(int(branch.num_entries)):
        try:
            parts = dict(flat_parts(branch.array(**entry_range)))
            known = dict(flat_parts(recorded.array(**entry_range)))
        except Exception:  # uproot raises many kinds for classes that it cannot interpret
            return ""
        for label, values in parts.items():
            largest = _largest(values, known.get(label))
            if largest:
                return largest
    return ""


def _largest(values: Any, recorded: Any) -> str:
    """Return the largest difference of numbers, in words; empty where they cannot be compared."""
    import numpy

    if recorded is None or values.shape != recorded.shape or values.dtype.kind not in "fiu":
        return ""
    gaps = numpy.abs(values.astype(float) - recorded.astype(float))
    differing = int(numpy.count_nonzero(values != recorded))
    if not differing or not numpy.isfinite(gaps).any():
        return ""
    at = int(numpy.nanargmax(gaps))
    return (
        f" in {differing} of {values.size} numbers, most in number {at + 1}: "
        f"{values[at]:.9g}, recorded was {recorded[at]:.9g}"
    )
