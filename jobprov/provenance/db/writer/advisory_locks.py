"""Names of the advisory locks of PostgreSQL that processes of one database take.

All numbers here, so that no two mean the same.

A lock is named by one number of 64 bits, or by two of 32, of which the second says whose turn it
is; the two kinds never meet. Source: PostgreSQL's documentation, "Advisory Locks".
"""

MIGRATING = 0x6A6F6270726F76
SEALING = 0x6A6F627365616C
STATISTICS = 7_018_230_111
DERIVING = 1_823_011
"""Below 2**32: `pg_locks` shows such a number whole, as `objid`."""

OF_EXPERIMENT = 1_823_012
"""With the key of an experiment: whose ledger entries get their keys."""
OF_RUN = 1_823_013
"""With `hashtext(job_id)`: the run that an OpenLineage event is about."""
