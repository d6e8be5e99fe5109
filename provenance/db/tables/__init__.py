"""Every table, by noun. What is derived from the ledger and what is not is said in each docstring.

`services/upkeep/database_rebuild.py` relies on it.
"""

from jobprov.provenance.db.base import Base
from jobprov.provenance.db.tables.capsules import CapsuleRow, CapsuleUse
from jobprov.provenance.db.tables.catalogs import (
    CatalogFileRow,
    CatalogOutput,
    CatalogProcess,
    CatalogSync,
    CatalogUse,
)
from jobprov.provenance.db.tables.comparators import ComparatorSet
from jobprov.provenance.db.tables.erasures import ErasedBytes, ErasedEntry
from jobprov.provenance.db.tables.expiry import ExpiredLog, LogExpiry
from jobprov.provenance.db.tables.files import (
    Claim,
    File,
    Identity,
    Mention,
    Parent,
    Producer,
    Sighting,
)
from jobprov.provenance.db.tables.folded_graphs import FoldedGraphRow
from jobprov.provenance.db.tables.jobs import (
    AwaitedBlob,
    Closure,
    ClosureFile,
    ClosureSet,
    ClosureSetMember,
    DueProof,
    GapSet,
    Host,
    Job,
    Proof,
    ProvisionalRecord,
    Stage,
    TaskRow,
    Verdict,
)
from jobprov.provenance.db.tables.kept_answers import KeptAnswerRow
from jobprov.provenance.db.tables.ledger import (
    BundlePlan,
    ChainHead,
    Conflict,
    EntryBody,
    LedgerEntry,
    Possession,
    UnreadRecord,
)
from jobprov.provenance.db.tables.log_tails import LogTailPiece
from jobprov.provenance.db.tables.modules import ModuleCost, ModuleSet
from jobprov.provenance.db.tables.operators import (
    DeadLetter,
    Derivation,
    Experiment,
    OwnArchive,
    WorkItem,
    WriteToken,
)
from jobprov.provenance.db.tables.parameters import (
    Evaluation,
    Parameter,
    ParameterKey,
    ParameterSet,
    ParameterSetTable,
    ParameterTable,
    ParameterValue,
)
from jobprov.provenance.db.tables.queue import QueueJob, QueueReport
from jobprov.provenance.db.tables.software import (
    ProductMapRow,
    RefObservation,
    Repository,
    Resolution,
    SoftwareRow,
    SoftwareSet,
    SoftwareSetMember,
)
from jobprov.provenance.db.tables.traces import AwaitedTrace, TraceTurn
from jobprov.provenance.db.tables.triage import FailureClass, Reclassification, RuleTableRow
from jobprov.provenance.db.tables.waivers import WaivedUnit
from jobprov.provenance.db.tables.workflows import (
    Order,
    OrderInput,
    OrderLease,
    RetryPolicyRow,
    WorkflowRow,
)

__all__ = [
    "AwaitedBlob",
    "AwaitedTrace",
    "Base",
    "BundlePlan",
    "CapsuleRow",
    "CapsuleUse",
    "CatalogFileRow",
    "CatalogOutput",
    "CatalogProcess",
    "CatalogSync",
    "CatalogUse",
    "ChainHead",
    "Claim",
    "Closure",
    "ClosureFile",
    "ClosureSet",
    "ClosureSetMember",
    "ComparatorSet",
    "Conflict",
    "DeadLetter",
    "Derivation",
    "DueProof",
    "EntryBody",
    "ErasedBytes",
    "ErasedEntry",
    "Evaluation",
    "Experiment",
    "ExpiredLog",
    "FailureClass",
    "File",
    "FoldedGraphRow",
    "GapSet",
    "Host",
    "Identity",
    "Job",
    "KeptAnswerRow",
    "LedgerEntry",
    "LogExpiry",
    "LogTailPiece",
    "Mention",
    "ModuleCost",
    "ModuleSet",
    "Order",
    "OrderInput",
    "OrderLease",
    "OwnArchive",
    "Parameter",
    "ParameterKey",
    "ParameterSet",
    "ParameterSetTable",
    "ParameterTable",
    "ParameterValue",
    "Parent",
    "Possession",
    "Producer",
    "ProductMapRow",
    "Proof",
    "ProvisionalRecord",
    "QueueJob",
    "QueueReport",
    "Reclassification",
    "RefObservation",
    "Repository",
    "Resolution",
    "RetryPolicyRow",
    "RuleTableRow",
    "Sighting",
    "SoftwareRow",
    "SoftwareSet",
    "SoftwareSetMember",
    "Stage",
    "TaskRow",
    "TraceTurn",
    "UnreadRecord",
    "Verdict",
    "WaivedUnit",
    "WorkItem",
    "WorkflowRow",
    "WriteToken",
]
