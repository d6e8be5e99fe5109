"""Inputs and outputs of two jobs side by side: which belong together, and how they differ.

Files are paired by whatever digest or checksum both records name, then by name, then by what they
are to the job.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypedDict

import msgspec

from jobprov.provenance.answers.comparisons.jobs import Difference, Facet
from jobprov.provenance.records.files.checksums import normal_checksum
from jobprov.provenance.records.files.parents import PARENT_ROLES
from jobprov.provenance.records.job_record import UNTOLD
from jobprov.provenance.services.comparisons.differences import (
    RECIPE,
    RESULT,
    Record,
    compared,
    facet,
    flat,
)

Keys = Callable[[Record], Iterable[str]]
Fits = Callable[[Record, Record], bool]

_OUTPUT_FIELDS = (
    "status", "data_tier", "file_format", "file_type", "data_stream", "event_count", "first_event",
    "last_event", "runs", "metadata",
)  # fmt: skip
# Names of the job among the metadata, which differ in any two jobs
_NO_DIFFERENCE = ("metadata.prov.job_id", "metadata.prov.output", "metadata.prov.task_id")


class _Pages(TypedDict):
    """The pages of a file that both jobs have, as fields of a difference."""

    url_before: str | None
    url_after: str | None


class PairedFiles(NamedTuple):
    """Files of two jobs: pairs that belong together, and files that only one job has."""

    pairs: list[tuple[Record, Record]]
    only_before: list[Record]
    only_after: list[Record]


def inputs_facet(before: Record, after: Record) -> Facet:
    """Return how the inputs differ: the same bytes under another name are the same input."""
    old, new = _comparable_inputs(before), _comparable_inputs(after)
    files = paired(old, new, _role)
    rows: list[Difference] = []
    for mine, other in files.pairs:
        rows += _input_differences(mine, other)
    rows += [_removed(file, bytes_of(file)) for file in files.only_before]
    rows += [_added(file, bytes_of(file)) for file in files.only_after]
    return facet("inputs", "Inputs", RECIPE, rows, max(len(old), len(new)))


def _comparable_inputs(record: Record) -> list[Record]:
    """Return the inputs without those that the hook only happened to see: it may miss them."""
    return [file for file in record.get("inputs") or () if file.get("evidence") not in UNTOLD]


def outputs_facet(before: Record, after: Record) -> Facet:
    """Return how the outputs differ.

    Outputs of siblings have names of their own; they are paired by stream and tier.
    """
    old, new = list(before.get("outputs") or ()), list(after.get("outputs") or ())
    files = paired(old, new, _stream)
    rows: list[Difference] = []
    for mine, other in files.pairs:
        rows += _output_differences(mine, other)
    rows += [_removed(file, file.get("status") or "written") for file in files.only_before]
    rows += [_added(file, file.get("status") or "written") for file in files.only_after]
    return facet("outputs", "Outputs", RESULT, rows, max(len(old), len(new)))


def _role(file: Record) -> str:
    return str(file.get("role") or "input")


def _stream(file: Record) -> str:
    fields = ("step", "data_tier", "data_stream", "file_format")
    return " ".join(str(file.get(field) or "") for field in fields)


def _removed(file: Record, shown: str) -> Difference:
    return Difference("removed", file["name"], before=shown, url_before=file.get("url"))


def _added(file: Record, shown: str) -> Difference:
    return Difference("added", file["name"], after=shown, url_after=file.get("url"))


def _input_differences(mine: Record, other: Record) -> list[Difference]:
    unlike = unlike_bytes(mine, other)
    if unlike is None:
        return _role_differences(mine, other)
    key, before, after = mine["name"], *unlike
    if mine["name"] != other["name"]:
        key, before, after = _role(mine), mine["name"], other["name"]
    return [Difference("changed", key, before=before, after=after, **_pages(mine, other))]


def _role_differences(mine: Record, other: Record) -> list[Difference]:
    """Return the roles of an input that only one of the jobs made its outputs from."""
    is_parent, is_parent_too = (file.get("role") in PARENT_ROLES for file in (mine, other))
    if is_parent == is_parent_too:
        return []
    key = f"{mine['name']}, role"
    return compared({key: mine.get("role") or "primary"}, {key: other.get("role") or "primary"})


def _output_differences(mine: Record, other: Record) -> list[Difference]:
    name = other["name"]
    if mine["name"] != other["name"]:
        name = f"{mine['name']} \N{RIGHTWARDS ARROW} {other['name']}"
    rows = compared(_output_facts(mine, other), _output_facts(other, mine))
    pages = _pages(mine, other)
    return [msgspec.structs.replace(row, part=name, **pages) for row in rows]


def _output_facts(file: Record, other: Record) -> dict[str, object]:
    """Return what is compared of an output: its content where possible, else its bytes.

    The content is compared where both outputs give it by the same algorithm.
    """
    facts = flat({field: file.get(field) for field in _OUTPUT_FIELDS})
    for field in _NO_DIFFERENCE:
        facts.pop(field, None)
    digest, title = "sha256", "bytes"
    algorithm = _content_algorithm(file)
    if algorithm and algorithm == _content_algorithm(other):
        digest, title = "content_digest", "content"
    if file.get(digest) and other.get(digest):
        facts[title] = file[digest]
        if file[digest] == other[digest]:
            # The size does not matter then: equal content may be packed in fewer bytes
            return facts
    return facts | flat({"size_bytes": file.get("size_bytes")})


def _content_algorithm(file: Record) -> str:
    return str(file.get("content_digest") or "").partition(":")[0]


def _pages(before: Record, after: Record) -> _Pages:
    return {"url_before": before.get("url"), "url_after": after.get("url")}


def bytes_of(file: Record) -> str:
    """Return what identifies the bytes of a file: digest, or checksum and size, or name."""
    if file.get("sha256"):
        return str(file["sha256"])
    if file.get("checksums"):
        return f"{normal_checksum(str(file['checksums'][0]))}, {file.get('size_bytes', '?')} bytes"
    return str(file["name"])


def unlike_bytes(mine: Record, other: Record) -> tuple[str, str] | None:
    """Return how the bytes of two files differ, as each record describes them.

    It is None where they are the same, as far as the records show.

    Records may name different algorithms, or list them in another order: what both name decides.
    """
    sums, others = _checksums(mine), _checksums(other)
    common = [algorithm for algorithm in sums if algorithm in others]
    unlike = [algorithm for algorithm in common if sums[algorithm] != others[algorithm]]
    if common and not unlike and _may_be_as_large(mine, other):
        return None
    names = bytes_of(mine), bytes_of(other)
    if names[0] != names[1]:
        return names
    if unlike:
        algorithm = unlike[0]
        return f"{algorithm}:{sums[algorithm]}", f"{algorithm}:{others[algorithm]}"
    return None


def _may_be_as_large(mine: Record, other: Record) -> bool:
    sizes = mine.get("size_bytes"), other.get("size_bytes")
    return None in sizes or sizes[0] == sizes[1]


def _checksums(file: Record) -> dict[str, str]:
    """Return the digest and the checksums of a file by algorithm, in the form that compares."""
    checksums = [str(checksum) for checksum in file.get("checksums") or ()]
    if file.get("sha256"):
        checksums.insert(0, f"sha256:{file['sha256']}")
    by_algorithm = {}
    for checksum in checksums:
        algorithm, _, value = normal_checksum(checksum).partition(":")
        by_algorithm[algorithm] = value
    return by_algorithm


def paired(
    old: Sequence[Record], new: Sequence[Record], kind: Callable[[Record], str]
) -> PairedFiles:
    """Pair files with equal bytes, then with equal names, then those of one kind in order."""
    files = PairedFiles([], list(old), list(new))
    files = _paired_by(files, _checksum_keys, _has_same_bytes)
    files = _paired_by(files, _names, _always)
    return _paired_by(files, lambda file: [kind(file)], _always)


def _paired_by(files: PairedFiles, keys: Keys, fits: Fits) -> PairedFiles:
    """Pair files without a partner that share a key, if they fit."""
    partners = _partners(files.only_before, files.only_after, keys, fits)
    pairs = list(files.pairs)
    only_before = []
    for file, partner in zip(files.only_before, partners, strict=True):
        if partner is None:
            only_before.append(file)
        else:
            pairs.append((file, partner))
    # By identity, since a record may hold two equal entries
    taken = {id(partner) for partner in partners}
    only_after = [file for file in files.only_after if id(file) not in taken]
    return PairedFiles(pairs, only_before, only_after)


def _checksum_keys(file: Record) -> list[str]:
    return [f"{algorithm}:{value}" for algorithm, value in _checksums(file).items()]


def _names(file: Record) -> list[str]:
    return [str(file["name"])]


def _has_same_bytes(mine: Record, other: Record) -> bool:
    return unlike_bytes(mine, other) is None


def _always(_mine: Record, _other: Record) -> bool:
    return True


def _partners(
    old: Sequence[Record], new: Sequence[Record], keys: Keys, fits: Fits
) -> list[Record | None]:
    """Return for each old file the first new one that shares a key with it and is not yet taken."""
    # An index, since comparing each file with each takes too long where there are thousands;
    # its stacks have the first file on top
    waiting: dict[str, list[Record]] = {}
    for file in reversed(new):
        for key in keys(file):
            waiting.setdefault(key, []).append(file)
    taken: set[int] = set()
    partners: list[Record | None] = []
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
        partners.append(partner)
    return partners
