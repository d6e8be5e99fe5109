"""Writes the tables for analysis into a folder, and later again what changed.

The rows come from the database, not from sealed segments;
docs/decisions/0036-tables-for-analysis.md says why. Each experiment and month has one file a table.
An export computes the stamp of each month, writes the files of those whose stamp is new beside the
folder's own, and gives all of them their names at the end.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import NamedTuple

from sqlalchemy import Connection, Engine

from jobprov.archive.errors import ArchiveUnreachableError
from jobprov.archive.store import Store
from jobprov.provenance.db.connections.narrowed import NarrowedDatabase
from jobprov.provenance.db.queries.analysis import rows as queries
from jobprov.provenance.db.queries.analysis.partitions import Partition, Stamped, stamped_partitions
from jobprov.provenance.db.queries.lookup.experiments import experiment_key, experiment_names
from jobprov.provenance.db.queries.upkeep import known_archive
from jobprov.provenance.errors import BadInputError, ConflictError, NotFoundError, UnreachableError
from jobprov.provenance.services.analysis.folders import Folder
from jobprov.provenance.services.analysis.manifest import (
    FORMAT,
    LOCK,
    MANIFEST,
    PUBLICATION,
    STAGING,
    FileState,
    Manifest,
    PartState,
    Publication,
    encode,
    read_manifest,
    read_publication,
)
from jobprov.provenance.services.analysis.parquet import TableFile
from jobprov.provenance.services.analysis.schema import (
    CONFIGURATIONS,
    EDGES,
    FAILURES,
    FILES,
    JOBS,
    MODULES,
    MONTHLY,
    PARAMETERS,
    SCHEMA_VERSION,
    STEPS,
    TABLES,
)
from jobprov.provenance.services.analysis.steps import step_rows

_PAGE_JOBS = 1000
_PULSE_SECONDS = 60


class Selection(NamedTuple):
    """What is exported.

    Attributes:
        experiments: of these alone, also private ones; none: of all but private ones.
        private: which experiments are private.
        parameters: names of FHiCL parameters; `*` stands for any characters.
    """

    experiments: Sequence[str]
    private: frozenset[str]
    parameters: Sequence[str]


class Report(NamedTuple):
    """What an export did.

    Attributes:
        written: months and lists of parameters that were written anew.
        unchanged: those that were not.
        removed: those that the folder no longer has.
        rows: of each table, as the folder has them now.
        size_bytes: of the whole folder.
        left_out: private experiments that were not named.
    """

    written: list[str]
    unchanged: int
    removed: list[str]
    rows: dict[str, int]
    size_bytes: int
    left_out: list[str]


def export_tables(reading: Engine, store: Store, folder: Folder, selection: Selection) -> Report:
    """Make a folder hold the tables of what is selected, and nothing else.

    Args:
        store: the archive, which has the steps of jobs.
        folder: where to.

    Raises:
        NotFoundError: an experiment is not recorded.
        ConflictError: another export works in the folder, or it is of another archive or of a later
            jobprov.
        BadInputError: the folder holds something else.
        UnreachableError: the folder has no room, or its server does not answer.
    """
    with reading.connect() as connection:
        names = experiment_names(connection)
        archive = known_archive(connection) or ""
    chosen = _chosen(names, selection)
    hidden = selection.private - set(chosen)
    _check_is_for_tables(folder)
    left_out = sorted(selection.private & set(names) - set(chosen))
    try:
        with ExitStack() as stack:
            stack.enter_context(folder.alone())
            _check_is_for_tables(folder)
            held = _finish_interrupted(folder, archive)
            reader = reading
            if hidden:
                narrowed = NarrowedDatabase(reading.url.render_as_string(hide_password=False))
                stack.callback(narrowed.dispose)
                reader = narrowed.reading(hidden)
            export = _Export(reader, store, folder, held, selection.parameters)
            export.run(chosen)
            return export.report(left_out)
    except OSError as problem:
        raise _cannot_take(folder, problem.strerror or str(problem)) from None
    except ArchiveUnreachableError as problem:
        if problem.where != folder.where:
            raise  # the archive itself
        raise _cannot_take(folder, f"{problem.reason}; {problem.advice}") from None


def _cannot_take(folder: Folder, why: str) -> UnreachableError:
    return UnreachableError(
        f"{folder.where} cannot take the tables: {why}. Each file that it has is whole; export "
        "again when that is mended."
    )


def _chosen(names: Sequence[str], selection: Selection) -> list[str]:
    for name in selection.experiments:
        if name not in names:
            raise NotFoundError(f"No experiment {name} is recorded.", names)
    if selection.experiments:
        return sorted(set(selection.experiments))
    return [name for name in names if name not in selection.private]


def _check_is_for_tables(folder: Folder) -> None:
    """Check that a folder is new, empty, or has tables.

    Raises:
        BadInputError: it has something else.
        ConflictError: a later version of jobprov wrote it.
    """
    manifest = folder.read(MANIFEST)
    if manifest is not None:
        read_manifest(manifest, folder.where)
        return
    # A first export that was killed, or had no room, leaves these
    own = (LOCK, STAGING, f".{MANIFEST}-")
    strange = [name for name in folder.first_names() if not name.startswith(own)]
    if strange:
        raise BadInputError(
            f"{folder.where} holds something else ({', '.join(sorted(strange))}), and an export "
            "would mix with it; nothing was changed. Name a new or empty folder.",
            {"to": ["a new or empty folder"]},
        )


def _finish_interrupted(folder: Folder, archive: str) -> Manifest:
    """Give files their names that an interrupted export left; return what the folder has then.

    Raises:
        ConflictError: the folder is of another archive.
    """
    data = folder.read(MANIFEST)
    manifest = Manifest(FORMAT, SCHEMA_VERSION, archive, is_only_begun=True)
    if data is None:
        # Says whose the folder is before anything else is in it
        folder.write(MANIFEST, encode(manifest))
    else:
        manifest = read_manifest(data, folder.where)
    if manifest.archive != archive:
        raise ConflictError(
            f"{folder.where} has the tables of another service (its archive is "
            f"{manifest.archive or 'unknown'}); nothing was changed. Name another folder."
        )
    left = folder.read(PUBLICATION)
    if left is not None:
        publication = read_publication(left, folder.where)
        _publish(folder, publication)
        manifest = publication.manifest
    folder.clear_staging()
    return manifest


def _publish(folder: Folder, publication: Publication) -> None:
    for name in publication.staged:
        folder.publish(name)
    folder.remove(publication.removed)
    folder.write(MANIFEST, encode(publication.manifest))
    folder.remove([PUBLICATION])


class _Export:
    """One export into a folder that it holds alone."""

    def __init__(
        self,
        reader: Engine,
        store: Store,
        folder: Folder,
        held: Manifest,
        parameters: Sequence[str],
    ) -> None:
        self._reader = reader
        self._store = store
        self._folder = folder
        self._held = held
        self._parameters = parameters
        self._sizes = folder.sizes()
        self._parts: dict[str, PartState] = {}
        self._staged: list[str] = []
        self._written: list[str] = []
        self._pulse = time.monotonic()

    def run(self, experiments: Sequence[str]) -> None:
        """Write what is new, and publish it."""
        with self._reader.connect() as connection:
            keys = {}
            for name in experiments:
                key = experiment_key(connection, name)
                if key is not None:
                    keys[key] = name
            stamped = stamped_partitions(connection)
        for partition, facts in stamped.items():
            if partition.experiment in keys:
                self._take_month(keys[partition.experiment], partition, facts)
        for key, name in keys.items():
            self._take_parameters(name, key)
        self._publish()

    def report(self, left_out: list[str]) -> Report:
        """Return what was done."""
        rows = dict.fromkeys([table.name for table in TABLES], 0)
        size_bytes = 0
        for part in self._parts.values():
            for name, file in part.files.items():
                rows[name.partition("/")[0]] += file.rows
                size_bytes += file.size_bytes
        removed = sorted(self._held.parts.keys() - self._parts.keys())
        unchanged = len(self._parts) - len(self._written)
        return Report(self._written, unchanged, removed, rows, size_bytes, left_out)

    def _take_month(self, experiment: str, partition: Partition, facts: Stamped) -> None:
        part = f"experiment={experiment}/month={partition.month}"
        held = self._held.parts.get(part)
        is_current = self._held.schema_version == SCHEMA_VERSION and self._is_whole(held)
        if held is not None and held.stamp == facts.stamp and is_current:
            self._parts[part] = held
            return
        with self._folder.scratch() as scratch, ExitStack() as stack:
            files: dict[str, TableFile] = {}
            for table in MONTHLY:
                path = scratch / f"{table.name}.parquet"
                files[table.name] = stack.enter_context(TableFile(path, table))
            # Later than the stamp: what comes in between is written again by the next export
            with self._reader.connect() as connection:
                self._fill_month(connection, files, partition, facts)
            stack.close()
            self._parts[part] = self._stage(part, facts.stamp, files)
        self._written.append(part)

    def _fill_month(
        self,
        connection: Connection,
        files: dict[str, TableFile],
        partition: Partition,
        facts: Stamped,
    ) -> None:
        shared = queries.Shared(connection)
        pages = queries.job_pages(
            connection,
            partition,
            first=facts.first,
            last=facts.last,
            size=_PAGE_JOBS,
            shared=shared,
        )
        for page in pages:
            jobs = page.jobs
            files[JOBS.name].add(page.rows)
            files[STEPS.name].add(step_rows(connection, self._store, jobs))
            files[FILES.name].add(queries.file_rows(connection, jobs))
            for rows in queries.edge_rows(connection, jobs):
                files[EDGES.name].add(rows)
            files[CONFIGURATIONS.name].add(queries.configuration_rows(connection, jobs, shared))
            files[MODULES.name].add(queries.module_rows(connection, jobs, shared))
            files[FAILURES.name].add(queries.failure_rows(connection, jobs))
            # A read that lasts for minutes would keep the database from clearing its log
            connection.commit()
            self._go_on()

    def _take_parameters(self, experiment: str, key: int) -> None:
        """Write the parameters of an experiment; they are few, and compared by their bytes."""
        part = f"experiment={experiment}"
        held = self._held.parts.get(part)
        with self._folder.scratch() as scratch:
            file = TableFile(scratch / f"{PARAMETERS.name}.parquet", PARAMETERS)
            with file, self._reader.connect() as connection:
                for rows in queries.parameter_rows(connection, key, self._parameters):
                    file.add(rows)
                    self._go_on()
            state = file.state()
            if held is not None and state.sha256 == held.stamp and self._is_whole(held):
                file.path.unlink()
                self._parts[part] = held
                return
            self._parts[part] = self._stage(part, state.sha256, {PARAMETERS.name: file})
        self._written.append(part)

    def _stage(self, part: str, stamp: str, files: dict[str, TableFile]) -> PartState:
        """Bring files to where they wait; those that are as they were are left out."""
        held = self._held.parts.get(part)
        states: dict[str, FileState] = {}
        for table, file in files.items():
            name = f"{table}/{part}/{table}.parquet"
            states[name] = file.state()
            is_known = held is not None and held.files.get(name) == states[name]
            if is_known and self._sizes.get(name) == states[name].size_bytes:
                file.path.unlink()
            else:
                self._folder.stage(file.path, name)
                self._staged.append(name)
        return PartState(stamp, states)

    def _is_whole(self, part: PartState | None) -> bool:
        """Return whether the folder still has the files of a part, by their sizes."""
        if part is None:
            return False
        return all(self._sizes.get(name) == file.size_bytes for name, file in part.files.items())

    def _go_on(self) -> None:
        if time.monotonic() - self._pulse > _PULSE_SECONDS:
            self._pulse = time.monotonic()
            self._folder.check_alone()

    def _publish(self) -> None:
        manifest = Manifest(FORMAT, SCHEMA_VERSION, self._held.archive, self._parts)
        if manifest == self._held and not self._staged:
            self._folder.clear_staging()
            return
        removed = sorted(self._held.files().keys() - manifest.files().keys())
        publication = Publication(self._staged, removed, manifest)
        self._folder.check_alone()
        self._folder.write(PUBLICATION, encode(publication))
        _publish(self._folder, publication)
        self._folder.clear_staging()
