"""Every table, by noun. What is derived from the ledger and what is not is said in each docstring; `rebuilding.py` relies on it."""

from provenance.db.base import Base
from provenance.db.tables.files import Claim, File, Identity, Mention, Parent, Producer, Sighting
from provenance.db.tables.jobs import (
    AwaitedBlob,
    Closure,
    ClosureFile,
    EnvironmentBase,
    GapSet,
    Host,
    Job,
    JobClosure,
    ProvisionalRecord,
    Stage,
    TaskRow,
    Verdict,
    WitnessRecord,
)
from provenance.db.tables.ledger import BundlePlan, ChainHead, Conflict, LedgerEntry, Possession, UnreadRecord
from provenance.db.tables.operators import DeadLetter, Experiment, WorkItem, WriteToken
from provenance.db.tables.software import (
    RefObservation,
    Repository,
    Resolution,
    SoftwareRow,
    SoftwareSet,
    SoftwareSetMember,
)

__all__ = [
    "AwaitedBlob",
    "Base",
    "BundlePlan",
    "ChainHead",
    "Claim",
    "Closure",
    "ClosureFile",
    "Conflict",
    "DeadLetter",
    "EnvironmentBase",
    "Experiment",
    "File",
    "GapSet",
    "Host",
    "Identity",
    "Job",
    "JobClosure",
    "LedgerEntry",
    "Mention",
    "Parent",
    "Possession",
    "Producer",
    "ProvisionalRecord",
    "RefObservation",
    "Repository",
    "Resolution",
    "Sighting",
    "SoftwareRow",
    "SoftwareSet",
    "SoftwareSetMember",
    "Stage",
    "TaskRow",
    "UnreadRecord",
    "Verdict",
    "WitnessRecord",
    "WorkItem",
    "WriteToken",
]
