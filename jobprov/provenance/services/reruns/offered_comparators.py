"""Finds a comparator that would accept an output that differs, by trying them on the recorded file.

The bundle's own verify.py compares, kept apart as the rerun was: a job may have written anything.
"""

import os
import re
import shlex
import subprocess
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from jobprov.provenance.bundle.comparison.comparators import OutputRule
from jobprov.provenance.bundle.verdicts import Comparison
from jobprov.provenance.services.reruns.isolation import Isolation

KeptFile = Callable[[str, Path], bool]
"""Writes a recorded file, named by SHA-256, to a path; returns whether it is kept."""

_MOST_OUTPUTS = 10
_MOST_BYTES = 64 * 1024 * 1024
_SECONDS = 60.0
_MOST_MASKS = 5
_SHORTEST_MASK = 3
_TOLERANCES = (1e-12, 1e-9, 1e-6, 1e-3)
_FOLDERS = ("work", "src", "elsewhere")


class _ExpectedOutput(NamedTuple):
    """A line of expected.sh, without the command `output`; see verify.sh."""

    name: str
    json_name: str
    required: str
    size: str
    sha256: str
    comparator: str
    content_digest: str
    checksums: str
    reference: str
    place: str
    pattern: str = ""


_WORDS_OF_OUTPUT = len(_ExpectedOutput._fields) - 1  # not every line has a pattern


class _Differing(NamedTuple):
    """An output that differs: its name, its file in the rerun, and the recorded one."""

    name: str
    made: Path
    recorded: Path


def offer_comparators(
    root: Path,
    out: Path,
    comparisons: Sequence[Comparison],
    isolation: Isolation,
    kept: KeptFile,
) -> list[OutputRule]:
    """Return a rule for each output that differs, the strictest that would accept it.

    Args:
        root: the unpacked bundle.
        out: the folder of the rerun.
        comparisons: of its verdict.
        isolation: how the comparison is kept apart.
        kept: where recorded files come from.
    """
    below = {compared.output for compared in comparisons if compared.level == "R2"}
    offers: list[OutputRule] = []
    for differing in islice(_differing(root, out, below, kept), _MOST_OUTPUTS):
        for rule in _rules(differing):
            if _accepts(root, differing, rule, isolation):
                offers.append(rule)
                break
    return offers


def _differing(root: Path, out: Path, names: set[str], kept: KeptFile) -> Iterator[_Differing]:
    """Yield the outputs with these names, if both the recorded and the new file are here."""
    for number, expected in enumerate(_expected_outputs(root)):
        if expected.name not in names:
            continue
        made = _file_of(expected.place, out)
        if made is None or made.is_symlink() or not made.is_file():
            continue
        recorded = out / f"recorded-{number}"
        if expected.reference:
            recorded = root / "data" / expected.reference
        has_digest = expected.sha256 != "-"
        is_here = recorded.is_file() or (has_digest and kept(expected.sha256, recorded))
        if is_here and max(made.stat().st_size, recorded.stat().st_size) <= _MOST_BYTES:
            yield _Differing(expected.name, made, recorded)


def _expected_outputs(root: Path) -> Iterator[_ExpectedOutput]:
    """Yield what an unpacked bundle expects of each output."""
    expected = root / "data" / "outputs" / "expected.sh"
    if not expected.is_file():
        return
    # Not line by line, since a quoted name may hold a line break
    words = deque(shlex.split(expected.read_text("utf-8", "surrogateescape")))
    while words:
        words.popleft()
        line = [words.popleft() for _ in range(_WORDS_OF_OUTPUT)]
        # A pattern holds a `*`, so that none is taken for the next line's command
        if words and words[0] != "output":
            line.append(words.popleft())
        yield _ExpectedOutput(*line)


def _file_of(place: str, out: Path) -> Path | None:
    """Return the file for the place of an output, such as `$work/joined.txt`."""
    for folder in _FOLDERS:
        if place.startswith(f"${folder}/"):
            return out / folder / place.removeprefix(f"${folder}/")
    return None


def _rules(differing: _Differing) -> Iterator[OutputRule]:
    """Yield rules to try, the strictest first."""
    pattern = _pattern(differing.name)
    with differing.recorded.open("rb") as file:
        is_root = file.read(4) == b"root"
    if is_root:
        for word in ("masked", "content", "unordered"):
            yield OutputRule(pattern=pattern, comparator=word)
        for relative in _TOLERANCES:
            yield OutputRule(pattern=pattern, comparator="numeric", relative=relative)
        yield OutputRule(pattern=pattern, comparator="histograms")
        return
    masks = _masks(differing)
    for relative in _TOLERANCES[:-1]:
        yield OutputRule(pattern=pattern, comparator="numeric", relative=relative)
    if masks:
        yield OutputRule(pattern=pattern, comparator="text", mask=masks)
    yield OutputRule(pattern=pattern, comparator="numeric", relative=_TOLERANCES[-1])


def _pattern(name: str) -> str:
    """Return a pattern for outputs named alike: runs of digits, as of units, may differ."""
    escaped = re.sub(r"([*?\[])", r"[\1]", name)
    return re.sub(r"[0-9]{3,}", "*", escaped)


def _masks(differing: _Differing) -> list[str]:
    """Return masks for the lines that differ, by how these begin; none where that is too much."""
    recorded, made = _lines(differing.recorded), _lines(differing.made)
    if len(recorded) != len(made):
        return []
    masks: list[str] = []
    for line, other_line in zip(recorded, made, strict=True):
        if line == other_line:
            continue
        mask = _mask(line, other_line)
        if mask is None:
            return []
        if mask not in masks:
            masks.append(mask)
        if len(masks) > _MOST_MASKS:
            return []
    return masks


def _mask(line: str, other_line: str) -> str | None:
    """Return what masks two lines that begin alike; None where too little is alike."""
    alike = os.path.commonprefix([line, other_line])  # noqa: RUF071 - these are no paths
    beginning = alike.rstrip("0123456789-+.:abcdefABCDEF")
    if len(beginning) < _SHORTEST_MASK:
        return None
    return "^" + re.escape(beginning).replace("\\ ", " ") + ".*"


def _lines(path: Path) -> list[str]:
    return path.read_bytes().decode("utf-8", "surrogateescape").split("\n")


def _accepts(root: Path, differing: _Differing, rule: OutputRule, isolation: Isolation) -> bool:
    """Return whether verify.py accepts the output by a rule."""
    environment = dict(isolation.environment or {})
    command = [
        *isolation.prefix,
        environment.get("JOBPROV_PYTHON", "python3"),
        "-B",
        str(root / "data" / "verify.py"),
        "compare",
        str(differing.made),
        "--reference",
        str(differing.recorded),
        "--comparator",
        rule.text(),
    ]
    try:
        answer = subprocess.run(
            command, env=environment, capture_output=True, check=False, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0
