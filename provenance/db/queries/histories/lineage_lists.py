"""Files that a walk met, with the names of their experiments and jobs."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, select

from jobprov.provenance.answers.histories import HistoryFile
from jobprov.provenance.db.queries.histories.walks import WalkedFile
from jobprov.provenance.db.statements.composed import run
from jobprov.provenance.db.tables import Experiment, Job

_JOB_IDS = select(Job.id, Job.uuid).where(Job.id.in_(bindparam("jobs", expanding=True)))
_EXPERIMENTS = select(Experiment.id, Experiment.name)


def listed_files(connection: Connection, walked: Sequence[WalkedFile]) -> list[HistoryFile]:
    """Return the files by name, each once for every job that may have made it."""
    makers = {row.job_id for row in walked if row.job_id is not None}
    job_ids: dict[int | None, str] = dict(run(connection, _JOB_IDS, {"jobs": sorted(makers)}))
    experiments: dict[int, str] = dict(run(connection, _EXPERIMENTS, {}))
    places = {
        (row.name, row.namespace, experiments[row.experiment_id], job_ids.get(row.job_id, ""))
        for row in walked
    }
    return [
        HistoryFile(name, namespace, experiment, job_id or None)
        for name, namespace, experiment, job_id in sorted(places)
    ]
