"""The files that command lines gave art to read, by which jobs are found like by a parameter.

They are `source.fileNames` of the set that ran (`-s`, `-S`). Files differ by job, so the index of
parameters, which jobs of a task share, leaves them out.
"""

from collections.abc import Iterator, Mapping, Sequence

from jobprov.provenance.db.recording.configurations.closures import RanConfiguration
from jobprov.provenance.db.recording.configurations.parameters import indexed_text
from jobprov.provenance.db.statements.inserting import Insertions
from jobprov.provenance.db.statements.selecting import change_among
from jobprov.provenance.db.tables import JobSource
from jobprov.provenance.db.tables.base import table_of
from jobprov.provenance.db.writer.transaction import Transaction
from jobprov.provenance.fhicl.canonical_atoms import NotCanonicalError, canonical_single
from jobprov.provenance.records.job_record import FclConfiguration, JobRecord

SOURCES_KEY = "source.fileNames"
MOST_SOURCES = 200
"""Of a job; one with more, which merges files, is found by the first of them."""
ONLY = -1
"""The place of the only element of a sequence, for which no row of the whole sequence is needed."""


def write_sources(
    transaction: Transaction,
    insertions: Insertions,
    records: Mapping[int, JobRecord],
    ran: Mapping[int, Sequence[RanConfiguration]],
    replaced: Sequence[int],
) -> None:
    """Have the source files of these jobs written, by key of the job.

    Args:
        transaction: where.
        insertions: takes the rows.
        records: jobs.
        ran: what `ran_configurations` returned for each of them.
        replaced: those of the jobs whose source files were written before.
    """
    if replaced:
        change_among(
            transaction.connection, "DELETE FROM job_sources WHERE job_id {among}", replaced
        )
    rows: list[dict[str, int | str | None]] = []
    for job, record in records.items():
        values: list[tuple[int | None, str]] = []
        for names in _given_sources(record, ran[job]):
            values += _values(names)
        for position, (place, canonical) in enumerate(values[: MOST_SOURCES + 1]):
            row = {"job_id": job, "position": position, "place": place, "canonical": canonical}
            rows.append(row)
    insertions.add(table_of(JobSource), rows)


def _given_sources(record: JobRecord, ran: Sequence[RanConfiguration]) -> Iterator[list[str]]:
    """Yield the source files that the command line of each run of art gave, as it wrote them."""
    for ran_configuration in ran:
        run = ran_configuration.run
        # the set that the program wrote has them, and is this job's alone
        if ran_configuration.configuration.final_sha256 or run is None or run.not_known is not None:
            continue
        names = list(run.options.get("source", ()))
        if "source-list" in run.options:
            names = _listed_names(record, ran_configuration.configuration)
        if names:
            yield names


def _listed_names(record: JobRecord, configuration: FclConfiguration) -> list[str]:
    """Return what a list of source files (`-S`) named: the inputs that the hook read there."""
    names = []
    for read in record.inputs or ():
        is_listed = read.role == "primary" and read.evidence in (None, "argument")
        name = read.path or read.location
        if is_listed and read.step == configuration.step and name:
            names.append(name)
    return names


def _values(names: Sequence[str]) -> Iterator[tuple[int | None, str]]:
    """Yield (place, canonical text) of a sequence as a whole, without a place, and its elements."""
    elements = [_canonical(name) for name in names]
    if len(elements) == 1:
        yield ONLY, indexed_text(elements[0])
        return
    yield None, indexed_text(f"[{','.join(elements)}]")
    for place, element in enumerate(elements):
        yield place, indexed_text(element)


def _canonical(name: str) -> str:
    try:
        return canonical_single(name)
    except NotCanonicalError:
        return canonical_single(name.encode("unicode_escape").decode("ascii"))
