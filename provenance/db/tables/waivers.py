"""Units of tasks that are done without. Derived from the ledger."""

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from jobprov.provenance.db.base import Base, NameText


class WaivedUnit(Base):
    """A unit without which its task goes on; the ledger entry says who let it, and why."""

    __tablename__ = "waived_units"
    __table_args__ = ({"sqlite_with_rowid": False},)
    task_id: Mapped[int] = mapped_column(
        ForeignKey("tasks.id"), primary_key=True, autoincrement=False
    )
    unit: Mapped[str] = mapped_column(NameText, primary_key=True)
    entry_id: Mapped[int] = mapped_column(ForeignKey("ledger_entries.id"))
