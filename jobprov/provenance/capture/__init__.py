"""The job-end hook: what ran on a worker node, gathered into one job record and sent.

Python 3.6 to 3.13, standard library alone, no other package of the project: `packing.build` folds
these modules into the one file `job-end-hook.pyz`. The order of a job: `command.glance` (what it is
about to use), `running.execution` (the job itself), `recording.job` (what it made), `sending.spool`
(kept on disk), `sending.delivery` (sent). Nothing here may fail or change the job.
"""

from jobprov.provenance.capture.loading import install

VERSION = "1.0"

install()
