"""The condition that a job did not succeed, in the words of the index of such jobs."""

from sqlalchemy import ColumnElement, literal_column

from jobprov.provenance.db.recording.job_rows import FIRST_BAD
from jobprov.provenance.db.tables import Job

IS_BAD: ColumnElement[bool] = Job.state >= literal_column(str(FIRST_BAD))
"""The condition that a job did not succeed.

The number stands in the statement as in the partial index `ix_jobs_bad`: for a value that is bound,
databases do not know that the index has all such jobs, and read every job.
"""
