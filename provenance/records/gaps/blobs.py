"""Gaps of bytes that a record names and that are not here: never sent, expired, or erased.

They are fcl files, scripts, logs, listings of the environment, and other blobs.

Source: docs/reference/gaps.md.
"""

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet

from jobprov.provenance.records.files.inputs import needed_inputs, standard_inputs
from jobprov.provenance.records.gaps.code import is_changed
from jobprov.provenance.records.gaps.codes import Message
from jobprov.provenance.records.gaps.findings import Findings
from jobprov.provenance.records.job_record import JobRecord, Log, SourceFile

_MOST_EXAMPLES = 3
_SHORT_DIGEST = 12


def source_gaps(record: JobRecord, findings: Findings) -> Iterator[Message]:
    """Yield which fcl files, scripts, logs and other blobs were never sent, or expired."""
    yield from _missing_sources("fcl-missing", "", _fcl_files(record), findings)
    yield from _missing_sources("script-missing", "", record.scripts or (), findings)
    yield from _log_gaps(record, findings)
    if findings.missing_blobs:
        yield from _other_blob_gaps(record, findings.missing_blobs)


def _fcl_files(record: JobRecord) -> Iterator[SourceFile]:
    for configuration in record.configurations or ():
        yield from configuration.files or ()


def _missing_sources(
    code: str, kind: str, sources: Iterable[SourceFile | Log], findings: Findings
) -> Iterator[Message]:
    for source in sources:
        if source.sha256 is None or source.sha256 in findings.missing_blobs:
            yield code, f"The bytes of {kind}{source.name} are not here."


def _log_gaps(record: JobRecord, findings: Findings) -> Iterator[Message]:
    yield from _missing_sources("log-missing", "log ", record.logs or (), findings)
    for log in record.logs or ():
        if log.sha256 in findings.expired:
            yield (
                "log-expired",
                f"Of log {log.name} only beginning and end are kept; the rest expired.",
            )
    if not record.logs and record.state not in ("running", "lost"):
        yield "log-missing", "The job has no log."


def _other_blob_gaps(record: JobRecord, missing_blobs: AbstractSet[str]) -> Iterator[Message]:
    others = missing_blobs - _digests_with_own_gap(record)
    if others:
        examples = [digest[:_SHORT_DIGEST] for digest in sorted(others)[:_MOST_EXAMPLES]]
        yield (
            "blob-missing",
            (
                f"Blobs that the record names are not here: {len(others)}, "
                f"such as {', '.join(examples)}."
            ),
        )


def _digests_with_own_gap(record: JobRecord) -> set[str | None]:
    """Return the digests whose absence is a gap of another code than `blob-missing`."""
    digests: set[str | None] = set()
    for file in (*_fcl_files(record), *(record.scripts or ()), *(record.logs or ())):
        digests.add(file.sha256)
    for software in record.software or ():
        if is_changed(software):
            digests.add(software.objects_sha256)
    for condition in record.conditions or ():
        digests.add(condition.payload_sha256)
    for _, digest in environment_listings(record):
        digests.add(digest)
    digests.update(standard_inputs(record))
    return digests


def environment_listings(record: JobRecord) -> Iterator[tuple[str, str]]:
    """Yield (what it lists, digest) of the listings of the environment that the record names."""
    environment = record.environment
    if environment is None:
        return
    if environment.packages_sha256:
        yield "packages", environment.packages_sha256
    if environment.libraries_sha256:
        yield "libraries", environment.libraries_sha256


def erased_gaps(record: JobRecord, erased: AbstractSet[str]) -> Iterator[Message]:
    """Yield what an operator erased: a code for each closure level that it costs."""
    sources, inputs = _names_of_sources(record), _names_of_inputs(record)
    logs = {log.sha256: f"log {log.name}" for log in record.logs or ()}
    for digest in sorted(erased):
        if digest in sources:
            code, name = "source-erased", sources[digest]
        elif digest in inputs:
            code, name = "input-erased", inputs[digest]
        else:
            code, name = "blob-erased", logs.get(digest, f"blob {digest[:_SHORT_DIGEST]}")
        yield code, f"The bytes of {name} were erased on purpose."


def _names_of_sources(record: JobRecord) -> dict[str | None, str]:
    """Return by digest what level 1 needs, in words."""
    names: dict[str | None, str] = {}
    for file in (*_fcl_files(record), *(record.scripts or ())):
        names[file.sha256] = file.name
    for software in record.software or ():
        name = software.name or software.repository
        names[software.objects_sha256] = f"changed files of {name}"
        if software.tarball:
            names[software.tarball.sha256] = f"tar file of {name}"
    for content, digest in environment_listings(record):
        names[digest] = f"listing of {content}"
    return names


def _names_of_inputs(record: JobRecord) -> dict[str | None, str]:
    """Return by digest what the levels from 2 on need, in words."""
    names: dict[str | None, str] = {}
    for file in needed_inputs(record):
        names[file.sha256] = file.name
    for condition in record.conditions or ():
        names[condition.payload_sha256] = f"conditions of {condition.database}"
    for digest in standard_inputs(record):
        names[digest] = "standard input"
    return names
