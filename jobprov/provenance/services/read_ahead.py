"""What a replay read ahead in the ledger, before it writes the rows.

Records are graded by what is true in the end, whenever they came.
"""

from collections import defaultdict

from jobprov.provenance.db.queries.reruns.capsules import Use


class ReadAhead:
    """Remembers what the ledger says further on.

    Attributes:
        erased: digests of blobs that were erased on purpose, by experiment.
        expired: digests of logs that expired, by experiment.
        served: experiment and use of each registered capsule.
    """

    def __init__(self) -> None:
        self.erased: defaultdict[str, set[str]] = defaultdict(set)
        self.expired: defaultdict[str, set[str]] = defaultdict(set)
        self.served: set[tuple[str, Use]] = set()
