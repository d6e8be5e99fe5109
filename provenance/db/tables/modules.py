"""Time and memory of art's modules.

All jobs of a configuration share which modules they ran; what the modules took is each job's own.
"""

from sqlalchemy import ForeignKey, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from jobprov.provenance.db.base import Base, DigestBytes, Key


class ModuleSet(Base):
    """Modules that jobs ran, in order: a JSON list of [step, path, label, type]. Derived."""

    __tablename__ = "module_sets"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    sha256: Mapped[str] = mapped_column(DigestBytes, unique=True)
    document: Mapped[str] = mapped_column(Text)


class ModuleCost(Base):
    """What each module of a job took, in the order of its set.

    It is packed by `recording/module_rows.py`, and derived.
    """

    __tablename__ = "module_costs"
    __table_args__ = ({"sqlite_with_rowid": False},)
    job_id: Mapped[int] = mapped_column(
        ForeignKey("jobs.id"), primary_key=True, autoincrement=False
    )
    module_set_id: Mapped[int] = mapped_column(ForeignKey("module_sets.id"))
    costs: Mapped[bytes] = mapped_column(LargeBinary)
