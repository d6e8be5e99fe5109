"""Conditions on how a job ended: that it did not succeed, and that it never began."""

from sqlalchemy import ColumnElement, literal_column

from jobprov.provenance.db.recording.job_rows import FIRST_BAD, STATES
from jobprov.provenance.db.tables import Job

IS_BAD: ColumnElement[bool] = Job.state >= literal_column(str(FIRST_BAD))
"""The condition that a job did not succeed.

The number stands in the statement as in the partial index `ix_jobs_bad`: for a value that is bound,
databases do not know that the index has all such jobs, and read every job.
"""
NEVER_BEGAN = f"""
CASE WHEN jobs.state = {STATES.index("killed")} AND jobs.started_at IS NULL
    AND jobs.exit_code IS NULL AND jobs.exit_signal IS NULL
    AND (jobs.error_class = 'removed' OR substr(jobs.error_class, 1, 5) = 'held:')
THEN 1 ELSE 0 END
"""
"""Whether a job was removed before it began, so that its batch system alone knows of it: 1 or 0.

For statements that read `jobs` under this name. Such a record has no start, and what ended it
(`removed`, or a hold before the removal), but neither exit code nor signal; see
`launchers/condor/attempts.py`.
"""
