"""What only the service knows about records: which blobs it has, which code is resolved.

Each class below looks things up once for a batch of records, and then answers for each of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime

from sqlalchemy import Connection

from jobprov.provenance.db.queries.holdings.erasures import erased_digests
from jobprov.provenance.db.queries.holdings.expiry import expired_logs
from jobprov.provenance.db.queries.holdings.possessions import Possessions
from jobprov.provenance.db.queries.reruns.capsules import Use, use_of, uses_served
from jobprov.provenance.db.writer.transaction import Memory
from jobprov.provenance.records.files.inputs import all_inputs, small_inputs
from jobprov.provenance.records.gaps.findings import Findings
from jobprov.provenance.records.gaps.gaps import image_digest
from jobprov.provenance.records.job_record import JobRecord
from jobprov.provenance.services.ledger.witnessed_jobs import Reading
from jobprov.provenance.services.read_ahead import ReadAhead
from jobprov.provenance.services.recording.evaluations import find_evaluations
from jobprov.provenance.services.recording.resolved_code import CodeFindings
from jobprov.provenance.services.recording.traced_kinds import TracedKinds


def find_for(
    connection: Connection,
    memory: Memory,
    readings: Sequence[Reading],
    closures: Sequence[Sequence[str]],
    arrivals: Sequence[datetime],
) -> list[Findings]:
    """Return the findings for each reading, in order.

    Args:
        connection: to read with.
        memory: remembers what stays true, from batch to batch; readers pass an empty one.
        readings: the records of each job, merged.
        closures: the digests of each job's configurations, in order.
        arrivals: when the first record of each job came.
    """
    if not readings:
        return []
    records = [reading.record for reading in readings]
    inputs = [small_inputs(record) for record in records]
    blobs = BlobFindings(connection, memory)
    blobs.look_up(_first_wanted(readings, inputs))
    capsules = ServedUses.of(connection, memory, {record.experiment for record in records})
    has_capsule = [capsules.serve(record) or blobs.include_image(record) for record in records]
    # Only with a capsule does a grade depend on large inputs, so only then are they looked up
    inputs_beside_capsules: dict[str, set[str]] = {}
    for place, record in enumerate(records):
        if has_capsule[place]:
            inputs[place] = all_inputs(record)
            of_experiment = inputs_beside_capsules.setdefault(record.experiment, set())
            of_experiment.update(inputs[place])
    blobs.look_up(inputs_beside_capsules)
    code = CodeFindings.of(connection, memory, records)
    expired = ExpiredLogs.of(connection, memory, readings, blobs)
    traced = TracedKinds.of(connection, records)
    evaluations = find_evaluations(connection, memory, records, closures, blobs.possessed)
    findings = []
    for place, reading in enumerate(readings):
        record, experiment = reading.record, reading.record.experiment
        missing = blobs.missing(experiment, reading.references)
        logs = expired.among(experiment, missing)
        findings.append(
            Findings(
                missing_blobs=missing - logs,
                expired=logs,
                unresolved=code.unresolved(record),
                ambiguous=code.ambiguous(record),
                unreferenced=code.unreferenced(record),
                submodules=code.incomplete(record),
                inferred=code.inferred(record),
                unheld_inputs=blobs.missing(experiment, inputs[place]),
                repairs=reading.repairs,
                contradictions=reading.contradictions,
                unevaluated=evaluations[place].problems,
                too_large=evaluations[place].too_large,
                differing=evaluations[place].differences,
                pending=evaluations[place].pending,
                has_capsule=has_capsule[place],
                erased=blobs.erased(experiment, reading.references, inputs[place]),
                unseen=traced.unseen(record),
                arrived_at=arrivals[place],
            )
        )
    return findings


def _first_wanted(
    readings: Sequence[Reading], inputs: Sequence[AbstractSet[str]]
) -> dict[str, set[str]]:
    """Return the blobs that each job is looked at for, by experiment.

    These are the blobs of its record, its small inputs, and its image.
    """
    wanted: dict[str, set[str]] = {}
    for reading, small in zip(readings, inputs, strict=True):
        digests = wanted.setdefault(reading.record.experiment, set())
        digests.update(reading.references, small)
        if image := image_digest(reading.record):
            digests.add(image)
    return wanted


class BlobFindings:
    """Which blobs the experiments of a batch hold, and which they erased on purpose.

    Attributes:
        possessed: digests by experiment, of those that were looked up.
    """

    def __init__(self, connection: Connection, memory: Memory) -> None:
        self._connection = connection
        self._possessions = memory.of(Possessions)
        self._read_ahead = memory.of(ReadAhead)
        self.possessed: dict[str, set[str]] = {}
        self._erased: dict[str, set[str]] = {}

    def look_up(self, wanted: Mapping[str, set[str]]) -> None:
        """Look up these digests, by experiment."""
        if not wanted:
            return
        for experiment, digests in wanted.items():
            possessed = self._possessions.among(self._connection, experiment, digests)
            self.possessed.setdefault(experiment, set()).update(possessed)
        # Only now: another process may just have erased a blob that was there, or is remembered
        erased = erased_digests(self._connection, wanted)
        for experiment, digests in wanted.items():
            gone = erased.get(experiment, set()) | (digests & self._read_ahead.erased[experiment])
            self.possessed[experiment] -= gone
            self._erased.setdefault(experiment, set()).update(gone)

    def missing(self, experiment: str, digests: AbstractSet[str]) -> AbstractSet[str]:
        """Return those of the digests that the experiment neither holds nor erased."""
        missing = digests - self.possessed[experiment]
        return missing - self._erased[experiment] if missing else missing

    def erased(
        self, experiment: str, digests: AbstractSet[str], others: AbstractSet[str]
    ) -> AbstractSet[str]:
        """Return those of the digests that the experiment erased on purpose."""
        erased = self._erased[experiment]
        return (digests | others) & erased if erased else frozenset()

    def include_image(self, record: JobRecord) -> bool:
        """Whether the experiment holds the container image that the job ran in."""
        return image_digest(record) in self.possessed[record.experiment]


class ServedUses:
    """Which software, in which stages, has a registered capsule in the experiments of a batch."""

    def __init__(self, served: AbstractSet[tuple[str, Use]]) -> None:
        self._served = served

    @classmethod
    def of(cls, connection: Connection, memory: Memory, experiments: Iterable[str]) -> "ServedUses":
        """Return what these experiments have capsules for."""
        return cls(uses_served(connection, experiments) | memory.of(ReadAhead).served)

    def serve(self, record: JobRecord) -> bool:
        """Whether a capsule serves the job."""
        return (record.experiment, use_of(record)) in self._served


class ExpiredLogs:
    """Which missing blobs of a batch are logs that expired."""

    def __init__(self, by_experiment: Mapping[str, AbstractSet[str]]) -> None:
        self._by_experiment = by_experiment

    @classmethod
    def of(
        cls,
        connection: Connection,
        memory: Memory,
        readings: Iterable[Reading],
        blobs: BlobFindings,
    ) -> "ExpiredLogs":
        """Return which missing blobs of jobs with logs are expired logs."""
        wanted: dict[str, set[str]] = {}
        for reading in readings:
            if not reading.record.logs:
                continue
            experiment = reading.record.experiment
            if missing := blobs.missing(experiment, reading.references):
                wanted.setdefault(experiment, set()).update(missing)
        expired: dict[str, AbstractSet[str]] = {}
        for experiment, digests in wanted.items():
            rows = expired_logs(connection, experiment, digests)
            expired[experiment] = rows.keys() | (digests & memory.of(ReadAhead).expired[experiment])
        return cls(expired)

    def among(self, experiment: str, digests: AbstractSet[str]) -> AbstractSet[str]:
        """Return those of the digests that are expired logs of the experiment."""
        return digests & self._by_experiment.get(experiment, frozenset())
