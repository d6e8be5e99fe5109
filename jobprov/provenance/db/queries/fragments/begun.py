"""The condition that a job was removed before it began: its batch system alone knows of it.

Such a record has no start, and what ended it (`removed`, or a hold before the removal), but neither
exit code nor signal; see `launchers/condor/attempts.py`.
"""

from jobprov.provenance.db.recording.job_rows import STATES

NEVER_BEGAN = f"""
CASE WHEN jobs.state = {STATES.index("killed")} AND jobs.started_at IS NULL
    AND jobs.exit_code IS NULL AND jobs.exit_signal IS NULL
    AND (jobs.error_class = 'removed' OR substr(jobs.error_class, 1, 5) = 'held:')
THEN 1 ELSE 0 END
"""
"""For statements that read `jobs` under this name: 1 or 0."""
