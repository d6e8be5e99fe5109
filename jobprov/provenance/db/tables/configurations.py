"""FHiCL configurations: the files of each, and what it evaluates to, indexed for searching.

All of it is derived, from records and the bytes of their fcl files.

A *closure* is a configuration as a job had it: its main file and everything that it includes. A
*parameter set* is what a configuration evaluates to. Sets differ in few of their tables, so the
index keeps each table once: a *parameter table* is one path with the atoms and sequences that stand
directly in it. 1,143 real configurations with 427,906 parameters have 3,925 distinct tables with
21,494. What people ask for is a *value* of a key, of which there are fewer still: a condition looks
at distinct values, and goes from those that hold to tables, and from tables to sets.
"""

from sqlalchemy import (
    BigInteger,
    Float,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from jobprov.provenance.db.tables.base import Base, Count, DigestBytes, Key, NameText, key_of


class Closure(Base):
    """One FHiCL configuration: main file, search path and include closure.

    All jobs that ran it share it.
    """

    __tablename__ = "closures"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    sha256: Mapped[str] = mapped_column(DigestBytes, unique=True)
    document: Mapped[bytes]
    parameter_set_id: Mapped[str | None] = mapped_column(String(64))


class ClosureFile(Base):
    """A file of a closure."""

    __tablename__ = "closure_files"
    __table_args__ = ({"sqlite_with_rowid": False},)
    closure_id: Mapped[int] = key_of("closures.id")
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sha256: Mapped[str | None] = mapped_column(DigestBytes, index=True)
    name: Mapped[str] = mapped_column(NameText)


class ClosureSet(Base):
    """The configurations that a job's steps ran, in order; shared by all jobs of a task."""

    __tablename__ = "closure_sets"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    sha256: Mapped[str] = mapped_column(DigestBytes, unique=True)


class ClosureSetMember(Base):
    """Which configuration a step ran."""

    __tablename__ = "closure_set_members"
    __table_args__ = ({"sqlite_with_rowid": False},)
    closure_set_id: Mapped[int] = key_of("closure_sets.id")
    position: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    closure_id: Mapped[int] = mapped_column(ForeignKey("closures.id"), index=True)


class ParameterSet(Base):
    """A distinct evaluated configuration; `identity` is its ParameterSetID."""

    __tablename__ = "parameter_sets"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    identity: Mapped[str] = mapped_column(String(40), unique=True)
    parameter_count: Mapped[int]  # atoms, and empty tables and sequences


class ParameterTable(Base):
    """A table of parameter sets with the atoms directly in it.

    `key` is a digest over its path and them.
    """

    __tablename__ = "parameter_tables"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    key: Mapped[bytes] = mapped_column(LargeBinary(16), unique=True)


SETS_A_BLOCK = 62


"""Bits of a signed 64-bit integer that need no care."""


class ParameterSetTable(Base):
    """Which parameter sets have this table, `SETS_A_BLOCK` of them a row.

    Bit n of `members` is the set with id block * 62 + n.

    Most tables are in most sets: a row a set and table would be sixteen times as many, read by
    every question.
    """

    __tablename__ = "parameter_set_tables"
    table_id: Mapped[int] = key_of("parameter_tables.id")
    block: Mapped[int] = mapped_column(Count, primary_key=True, autoincrement=False)
    members: Mapped[int] = mapped_column(BigInteger)

    __table_args__ = ({"sqlite_with_rowid": False},)


def sets_in(block: int, members: int) -> list[int]:
    """Return the integer keys of the parameter sets that a row stands for.

    The row is of `ParameterSetTable`, or it is many rows of one block together.
    """
    return [block * SETS_A_BLOCK + place for place in range(SETS_A_BLOCK) if members >> place & 1]


class ParameterKey(Base):
    """The whole path of a parameter: `physics.producers.slicer.threshold`."""

    __tablename__ = "parameter_keys"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(NameText, unique=True)


class ParameterValue(Base):
    """A value that some table gives a key.

    It has its canonical text, which tells its type, and the number that it is, if it is one.

    Text that is too long for an index stands here by its beginning and digest
    (`recording/configurations/parameters.indexed_text`).
    """

    __tablename__ = "parameter_values"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    key_id: Mapped[int] = mapped_column(ForeignKey("parameter_keys.id"))
    canonical: Mapped[str]
    number: Mapped[float | None] = mapped_column(Float)

    __table_args__ = (UniqueConstraint("key_id", "canonical"),)


class Parameter(Base):
    """A parameter table has this value, of an atom or of a whole sequence."""

    __tablename__ = "parameters"
    value_id: Mapped[int] = key_of("parameter_values.id")
    table_id: Mapped[int] = key_of("parameter_tables.id")

    __table_args__ = ({"sqlite_with_rowid": False},)


class JobSource(Base):
    """A file that a job's command line gave art to read, as the command line writes it.

    It is an element of `source.fileNames`, at `place`; without a place, `canonical` is the whole
    sequence. The only element stands alone, at place -1 (`source_rows.ONLY`). Each job has files of
    its own, so parameter sets, which jobs share, leave them out.
    """

    __tablename__ = "job_sources"
    __table_args__ = (Index("ix_job_sources_canonical", "canonical"), {"sqlite_with_rowid": False})
    job_id: Mapped[int] = key_of("jobs.id")
    position: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    place: Mapped[int | None] = mapped_column(SmallInteger)
    canonical: Mapped[str] = mapped_column(NameText)


class Evaluation(Base):
    """What a configuration evaluates to, for an experiment that possesses its files.

    `set_id` is what is searched: the set that art wrote, where the record has it, else the one that
    it ran as computed here, else the one in the files; `as_written` says why it is that.
    `parsed_as`, `ran_as` and `computed_as` are the ParameterSetIDs of what the files say, of what
    art wrote, and of what it ran as computed, where no name in it differs by job. `problem` says
    why the files cannot be evaluated, `is_too_large` whether a limit stopped that, `difference` how
    what art wrote contradicts the rest.
    """

    __tablename__ = "evaluations"
    experiment_id: Mapped[int] = key_of("experiments.id")
    closure_id: Mapped[int] = key_of("closures.id")
    set_id: Mapped[int | None] = mapped_column(ForeignKey("parameter_sets.id"))
    parsed_as: Mapped[str | None] = mapped_column(String(40))
    ran_as: Mapped[str | None] = mapped_column(String(40))
    computed_as: Mapped[str | None] = mapped_column(String(40))
    problem: Mapped[str | None]
    is_too_large: Mapped[bool]
    difference: Mapped[str | None]
    as_written: Mapped[str | None]

    __table_args__ = (
        Index("ix_evaluations_set_id", "set_id"),
        Index("ix_evaluations_closure_id", "closure_id"),
        {"sqlite_with_rowid": False},
    )
