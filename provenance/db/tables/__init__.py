"""Every table, by noun. What is derived from the ledger and what is not is said in each docstring.

`services/upkeep/database_rebuild.py` relies on it.
"""

from jobprov.provenance.db.tables import name_index as _name_index  # noqa: F401 - is made with the tables
from jobprov.provenance.db.tables.alerts import AlertCheckRow, AlertDeliveryRow, AlertRow
from jobprov.provenance.db.tables.base import Base
from jobprov.provenance.db.tables.catalogs import (
    CatalogFileRow,
    CatalogOutput,
    CatalogProcess,
    CatalogSync,
    CatalogUse,
)
from jobprov.provenance.db.tables.code import (
    ProductMapRow,
    RefObservation,
    Repository,
    Resolution,
    SoftwareRow,
    SoftwareSet,
    SoftwareSetMember,
)
from jobprov.provenance.db.tables.configurations import (
    Closure,
    ClosureFile,
    ClosureSet,
    ClosureSetMember,
    Evaluation,
    JobSource,
    Parameter,
    ParameterKey,
    ParameterSet,
    ParameterSetTable,
    ParameterTable,
    ParameterValue,
)
from jobprov.provenance.db.tables.erasures import ErasedBytes, ErasedEntry, ExpiredLog, LogExpiry
from jobprov.provenance.db.tables.failures import FailureClass, Reclassification, RuleTableRow
from jobprov.provenance.db.tables.files import (
    Claim,
    File,
    Identity,
    Mention,
    Parent,
    Producer,
    Sighting,
)
from jobprov.provenance.db.tables.intake import AwaitedTrace, LogTailPiece, TraceTurn, WriteToken
from jobprov.provenance.db.tables.jobs import GapSet, Host, Job
from jobprov.provenance.db.tables.ledger import ChainHead, EntryBody, LedgerEntry, Possession
from jobprov.provenance.db.tables.operators import Derivation, Experiment, OwnArchive, WorkItem
from jobprov.provenance.db.tables.orders import (
    Order,
    OrderInput,
    OrderLease,
    RetryPolicyRow,
    WorkflowRow,
)
from jobprov.provenance.db.tables.recording import (
    AwaitedBlob,
    Conflict,
    DeadLetter,
    ProvisionalRecord,
    UnreadRecord,
)
from jobprov.provenance.db.tables.reruns import (
    BundlePlan,
    CapsuleRow,
    CapsuleUse,
    ComparatorSet,
    DueProof,
    Proof,
    Verdict,
)
from jobprov.provenance.db.tables.statistics import (
    FoldedGraphRow,
    JobSeed,
    KeptAnswerRow,
    ModuleCost,
    ModuleSet,
    RandomEngine,
)
from jobprov.provenance.db.tables.tasks import QueueJob, QueueReport, Stage, TaskRow, WaivedUnit

__all__ = [
    "AlertCheckRow",
    "AlertDeliveryRow",
    "AlertRow",
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
    "JobSeed",
    "JobSource",
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
    "RandomEngine",
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
