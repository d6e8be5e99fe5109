"""Gaps of bytes: what a record names and is not here, because it was never sent, has expired or was erased."""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

from jobprov.provenance.records.findings import Findings
from jobprov.provenance.records.inputs import needed_inputs, standard_inputs
from jobprov.provenance.records.job_record import JobRecord, Log, SourceFile


def source_gaps(record: JobRecord, findings: Findings) -> Iterator[tuple[str, str]]:
    """Yield (code, message) of fcl files, scripts, logs and other blobs."""
    missing = findings.missing_blobs
    fcl = [
        file for configuration in record.configurations or () for file in configuration.files or ()
    ]
    for code, what, sources in (
        ("fcl-missing", "", fcl),
        ("script-missing", "", record.scripts or ()),
        ("log-missing", "log ", record.logs or ()),
    ):
        listed: Sequence[SourceFile | Log] = sources
        for source in listed:
            if source.sha256 is None or source.sha256 in missing:
                yield code, f"The bytes of {what}{source.name} are not here."
    for log in record.logs or () if findings.expired else ():
        if log.sha256 in findings.expired:
            yield (
                "log-expired",
                f"Of log {log.name} only beginning and end are kept; the rest expired.",
            )
    if not record.logs and record.state not in ("running", "lost"):
        yield "log-missing", "The job has no log."
    if missing and (others := missing - _told_apart(record)):
        some = ", ".join(digest[:12] for digest in sorted(others)[:3])
        yield (
            "blob-missing",
            f"Blobs that the record names are not here: {len(others)}, such as {some}.",
        )


def erased_gaps(record: JobRecord, erased: AbstractSet[str]) -> Iterator[tuple[str, str]]:
    """Yield what an operator erased: a code for each closure level that it costs."""
    fcl = [
        file for configuration in record.configurations or () for file in configuration.files or ()
    ]
    sources = {file.sha256: str(file.name) for file in (*fcl, *(record.scripts or ()))}
    for software in record.software or ():
        tarball = software.tarball.sha256 if software.tarball else None
        name = str(software.name or software.repository)
        sources |= {
            software.objects_sha256: f"changed files of {name}",
            tarball: f"tar file of {name}",
        }
    sources |= {digest: f"listing of {what}" for what, digest in listings_of(record)}
    inputs = {file.sha256: str(file.name) for file in needed_inputs(record)}
    inputs |= {
        each.payload_sha256: f"conditions of {each.database}" for each in record.conditions or ()
    }
    inputs |= dict.fromkeys(standard_inputs(record), "standard input")
    logs = {log.sha256: f"log {log.name}" for log in record.logs or ()}
    for digest in sorted(erased):
        code, names = ("source-erased", sources) if digest in sources else ("input-erased", inputs)
        code, names = (code, names) if digest in names else ("blob-erased", logs)
        yield (
            code,
            f"The bytes of {names.get(digest, f'blob {digest[:12]}')} were erased on purpose.",
        )


def _told_apart(record: JobRecord) -> set[str | None]:
    """Return the digests whose absence is a gap of its own."""
    fcl = {
        file.sha256
        for configuration in record.configurations or ()
        for file in configuration.files or ()
    }
    changed = {software.objects_sha256 for software in record.software or () if software.is_dirty}
    listings = {digest for _, digest in listings_of(record)} | set(standard_inputs(record))
    conditions = {condition.payload_sha256 for condition in record.conditions or ()}
    return (
        fcl
        | changed
        | listings
        | conditions
        | {source.sha256 for source in (*(record.scripts or ()), *(record.logs or ()))}
    )


def listings_of(record: JobRecord) -> Iterator[tuple[str, str]]:
    """Yield (what it lists, digest) of the listings of the environment that the record names."""
    environment = record.environment
    for what in ("packages", "libraries"):
        if environment is not None and (digest := getattr(environment, f"{what}_sha256")):
            yield what, digest
