"""Scores how well the reader agrees with recorded answers of the reference implementation.

A folder of cases holds `probes.jsonl` (tiny cases, one per line, with every printed form), or
`oracle.tsv` with `corpus/` and `search-paths.json` (real files, with digests of the reference's
output), or both.
"""

import csv
import hashlib
import json
import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.fhicl.configuration import Configuration
from jobprov.provenance.fhicl.errors import INCLUDE_NOT_FOUND, FhiclError
from jobprov.provenance.fhicl.limits import DEFAULT_LIMITS
from jobprov.provenance.fhicl.loading import load_from
from jobprov.provenance.fhicl.reading.lookup import PERMISSIVE, DiskFiles

_MEGA = 1e6
_MISSING = re.compile(r"Can't find file \"([^\"]+)\"")
_SHOWN = 20

Case = dict[str, Any]
"""A line of probes.jsonl: a document, and the reference's answers."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One disagreement: the case, the form that differs, both answers."""

    case: str
    what: str
    expected: str
    actual: str

    def line(self) -> str:
        """Return it as one line of text."""
        return f"   {self.case}: {self.what} should be {self.expected}, is {self.actual}"


@dataclass(slots=True)
class Score:
    """The result for one set of cases.

    Attributes:
        name: `probes` or `corpus`.
        total: number of cases that could be judged.
        good: number of these without a mismatch.
        mismatches: the disagreements.
        contradictory: number of cases left out because their data contradicts itself.
        expanded_bytes: size of the good cases that the reference accepts.
        seconds: time for all of them.
    """

    name: str
    total: int = 0
    good: int = 0
    mismatches: list[Mismatch] = field(default_factory=list)
    contradictory: list[str] = field(default_factory=list)
    expanded_bytes: int = 0
    seconds: float = 0.0

    def lines(self) -> list[str]:
        """Return the score as sentences, the first mismatches spelled out."""
        speed = self.expanded_bytes / _MEGA / self.seconds if self.seconds else 0.0
        figures = f"{speed:.1f} MB/s expanded, {self.seconds:.2f} s"
        reason = "cannot be judged, its data contradicts itself"
        lines = [f"{self.name}: {self.good} of {self.total} agree ({figures})"]
        lines += [f"   {reason}: {case}" for case in self.contradictory]
        lines += [mismatch.line() for mismatch in self.mismatches[:_SHOWN]]
        if len(self.mismatches) > _SHOWN:
            lines.append(f"   and {len(self.mismatches) - _SHOWN} more")
        return lines


def score(folder: Path) -> list[Score]:
    """Return the scores of the cases in a folder, one for each set found.

    Raises:
        NotFoundError: the folder holds no cases.
    """
    scores = []
    if (folder / "probes.jsonl").is_file():
        scores.append(_score_probes(folder / "probes.jsonl"))
    if (folder / "oracle.tsv").is_file():
        scores.append(_score_corpus(folder))
    if not scores:
        raise NotFoundError(
            f"{folder} holds neither probes.jsonl nor oracle.tsv; "
            "name a folder of conformance cases"
        )
    return scores


def _score_probes(path: Path) -> Score:
    with path.open(encoding="utf-8") as stream:
        cases = [json.loads(line) for line in stream if line.strip()]
    result = Score("probes")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "probes"
        folder.mkdir()
        for case in cases:
            (folder / case["file"]).write_bytes(case["source_latin1"].encode("latin-1"))
        names = {case["file"] for case in cases}
        started = time.perf_counter()
        for case in cases:
            if _contradicts_itself(case, names):
                result.contradictory.append(case["file"])
            else:
                _note(result, list(_judge_probe(case, folder, result)))
        result.seconds = time.perf_counter() - started
    return result


def _contradicts_itself(case: Case, names: set[str]) -> bool:
    """Return whether the reference did not find a file that is in the case's folder.

    This happens if a case includes a file by an absolute name: its folder was cut off when the
    cases were collected.
    """
    missing = _MISSING.search(case.get("what", ""))
    return case["class"] == INCLUDE_NOT_FOUND and missing is not None and missing[1] in names


def _judge_probe(case: Case, folder: Path, result: Score) -> Iterator[Mismatch]:
    name = case["file"]
    try:
        configuration = _read(str(folder / name), [str(folder)], "")
    except FhiclError as error:
        if case["ok"]:
            yield Mismatch(name, "acceptance", "ok", f"{error.kind}: {error.message}")
        return
    if not case["ok"]:
        yield Mismatch(name, "acceptance", str(case["class"]), "ok")
        return
    result.expanded_bytes += configuration.expanded_size
    prefix = f"{folder}/"
    answers = {
        "id": configuration.parameter_set_id,
        "to_string": configuration.to_string(),
        "expanded": configuration.expanded.decode("latin-1"),
        "compact": configuration.to_compact_string(),
        "indented": configuration.to_indented_string(),
        "annotated": configuration.to_annotated_string().replace(prefix, ""),
        "prefix_annotated": configuration.to_prefix_annotated_string().replace(prefix, ""),
        "opened": [path.removeprefix(prefix) for path in configuration.opened],
    }
    for what, answer in answers.items():
        if what in case and case[what] != answer:
            yield Mismatch(name, what, repr(case[what]), repr(answer))


def _score_corpus(folder: Path) -> Score:
    search_paths = json.loads((folder / "search-paths.json").read_text(encoding="utf-8"))
    with (folder / "oracle.tsv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    result = Score("corpus")
    started = time.perf_counter()
    for row in rows:
        search_path = search_paths[row["group"]]
        _note(result, list(_judge_row(row, search_path, folder / "corpus", result)))
    result.seconds = time.perf_counter() - started
    return result


def _judge_row(
    row: dict[str, str], search_path: list[str], corpus: Path, result: Score
) -> Iterator[Mismatch]:
    name = row["path"]
    is_good = row["class"] == "ok"
    try:
        configuration = _read(name, search_path, str(corpus))
    except FhiclError as error:
        if is_good:
            yield Mismatch(name, "acceptance", "ok", f"{error.kind}: {error.message}")
        return
    if not is_good:
        yield Mismatch(name, "acceptance", row["class"], "ok")
        return
    result.expanded_bytes += configuration.expanded_size
    answers = {
        "parameter_set_id": configuration.parameter_set_id,
        "sha256_expanded": _sha256(configuration.expanded),
        "sha256_to_string": _sha256(configuration.to_string().encode("ascii")),
        "include_directives": str(len(configuration.opened) - 1),
        "included_files": str(len(configuration.files) - 1),
    }
    for what, answer in answers.items():
        if row.get(what, answer) != answer:
            yield Mismatch(name, what, row[what], answer)


def _read(name: str, search_path: list[str], working_folder: str) -> Configuration:
    files = DiskFiles(
        search_path, policy=PERMISSIVE, limits=DEFAULT_LIMITS, working_folder=working_folder
    )
    return load_from(files, name)


def _note(result: Score, mismatches: list[Mismatch]) -> None:
    result.total += 1
    result.good += not mismatches
    result.mismatches += mismatches


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
