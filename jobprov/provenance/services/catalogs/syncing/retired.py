"""Outputs that a catalog retired since they were found, and which of these are missed.

A production deletes what it has merged: a retired file is *spent* while something that was made
from it is there, and its unit stays done. It is *gone* where nothing is left of it: then its unit
is not done any more (docs/decisions/0049-retired-files.md).

What is known is looked at again in turn, a thousand files each time, so that a sync of a task with
a million outputs takes no longer.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import NamedTuple

from jobprov.provenance.catalogs.catalog import CatalogFile
from jobprov.provenance.db.changes.catalogs import (
    add_outputs,
    mark_there,
    note_checked,
    put_outputs,
    remove_outputs,
)
from jobprov.provenance.db.queries.catalogs.retired import (
    KnownOutput,
    OutputPlace,
    files_in_use,
    gone_outputs,
    last_checked,
    outputs_after,
    retired_inputs,
)
from jobprov.provenance.db.queries.tasks.tasks import tasks_of_keys
from jobprov.provenance.db.recording.output_counts import count_outputs_of_makers
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.lineage.words import counted
from jobprov.provenance.records.files.checksums import have_other_checksum
from jobprov.provenance.records.files.outputs import counts_for_unit
from jobprov.provenance.records.files.presence import Presence
from jobprov.provenance.services.catalogs.rows import Unsettled, intern_files
from jobprov.provenance.services.catalogs.syncing.sightings import see_renamed
from jobprov.provenance.services.catalogs.syncing.task import (
    UNITS_AT_ONCE,
    TaskInCatalog,
    TaskSync,
)
from jobprov.provenance.services.writing import Writing

MOST_CHECKED = 1000
"""Known outputs that a sync looks at again: some five calls of the catalog."""
MOST_FOLLOWED = 5000
"""Retired inputs that are looked at because something made from them changed."""


def recheck_outputs(
    compared: TaskInCatalog, progress: TaskSync, *, everything: bool = False
) -> TaskSync:
    """Look again at some outputs that are gone, and at the next of all that are known."""
    with compared.database.reading.connect() as connection:
        gone = gone_outputs(connection, compared.task.key, limit=UNITS_AT_ONCE)
        last = last_checked(connection, compared.task.key)
    progress = settle(compared, progress, Unsettled(gone))
    just_asked = set(gone)
    checked = 0
    while everything or checked < MOST_CHECKED:
        if compared.is_over():
            return progress._replace(is_whole=progress.is_whole and not everything)
        with compared.database.reading.connect() as connection:
            outputs = outputs_after(connection, compared.task.key, last, limit=UNITS_AT_ONCE)
        unasked = []
        for output in outputs:
            if output not in just_asked and output.seen_at < compared.began_at:
                unasked.append(output)
        progress = settle(compared, progress, Unsettled(unasked))
        checked += len(outputs)
        last = None
        if len(outputs) == UNITS_AT_ONCE:
            last = outputs[-1].place
        note = partial(_note_checked, task=compared.task.key, last=last)
        compared.writer.run(note)
        if last is None:  # the next sync begins anew
            break
    return progress


def _note_checked(writing: Writing, *, task: int, last: OutputPlace | None) -> None:
    note_checked(writing.connection, task, last)


def settle(compared: TaskInCatalog, progress: TaskSync, unsettled: Unsettled) -> TaskSync:
    """Find out whether outputs are in the catalog still, and what became of those that are not.

    What becomes of a file decides about what it was made from, so their retired inputs follow.
    """
    settled = _settle_outputs(compared, unsettled.outputs)
    progress = progress._replace(retired=progress.retired + settled.lost)
    return settle_inputs(compared, progress, settled.jobs | unsettled.jobs)


def settle_inputs(compared: TaskInCatalog, progress: TaskSync, jobs: AbstractSet[int]) -> TaskSync:
    """Look again at the retired inputs of jobs that lost all their files or have some again.

    These are outputs of any tasks. Whatever changes decides about its own inputs, in turn.
    """
    followed = 0
    while jobs and followed < MOST_FOLLOWED:
        with compared.database.reading.connect() as connection:
            inputs = retired_inputs(connection, sorted(jobs))
            tasks = tasks_of_keys(connection, sorted(inputs))
        jobs = set()
        for task in tasks:
            if compared.is_over():
                return progress
            followed += len(inputs[task.key])
            settled = _settle_outputs(compared.beside(task), inputs[task.key])
            progress = progress._replace(retired=progress.retired + settled.lost)
            jobs |= settled.jobs
    return progress


class _Settled(NamedTuple):
    """What became of some outputs.

    Attributes:
        lost: how many files are gone that were not before.
        jobs: those that lost all their files or have some again.
    """

    lost: int
    jobs: AbstractSet[int]


def _settle_outputs(compared: TaskInCatalog, outputs: Sequence[KnownOutput]) -> _Settled:
    """Find out what became of outputs of a task, and write it."""
    lost = 0
    jobs: set[int] = set()
    for part in chunks(outputs, UNITS_AT_ONCE):
        found = _look_up(compared, part)
        settled = compared.writer.run(partial(_write_found, compared=compared, found=found))
        see_renamed(compared, list(found.moved.values()))
        lost += settled.lost
        jobs |= settled.jobs
    return _Settled(lost, jobs)


class _Found(NamedTuple):
    """What the catalog says of some outputs.

    Attributes:
        there: those that it has, with what it says of them.
        moved: those that it has in another namespace, with what it says of them there.
        retired: those that it retired, removed or calls bad.
        used: the retired ones from which something was made that is there.
    """

    there: Mapping[KnownOutput, CatalogFile]
    moved: Mapping[KnownOutput, CatalogFile]
    retired: Sequence[KnownOutput]
    used: AbstractSet[KnownOutput]


def _look_up(compared: TaskInCatalog, outputs: Sequence[KnownOutput]) -> _Found:
    """Ask the catalog for outputs."""
    full_names = {output: _full_name(compared, output) for output in outputs}
    files = {file.name: file for file in compared.catalog.read_files(set(full_names.values()))}
    there: dict[KnownOutput, CatalogFile] = {}
    lost = []
    for output, full_name in full_names.items():
        file = files.get(full_name)
        if file is None or file.is_retired:
            lost.append(output)
        else:
            there[output] = file
    moved = _moved(compared, lost)
    if not files and not moved:
        _check_same_catalog(compared, outputs)
    retired = [output for output in lost if output not in moved]
    return _Found(there, moved, retired, _used(compared, retired))


def _check_same_catalog(compared: TaskInCatalog, outputs: Sequence[KnownOutput]) -> None:
    """Refuse a MetaCat that knows neither any of these outputs nor their units.

    It never forgets a file: it is another one than before, or a part of it is lost. SAM may forget.

    Raises:
        BadInputError: it does not.
    """
    units = sorted({output.unit for output in outputs if output.unit})
    if compared.catalog.kind != "metacat" or not units:
        return
    if not compared.catalog.read_files([compared.full_name(unit) for unit in units]):
        known = f"{counted(len(outputs), 'output')} from {_full_name(compared, outputs[0])} on"
        raise BadInputError(
            f"The catalog had {known}, and knows neither these nor their inputs any more: is it "
            "another catalog than before?",
            {"url": ["is of another catalog"]},
        )


def _full_name(compared: TaskInCatalog, output: KnownOutput) -> str:
    return compared.catalog.join(output.namespace, output.name)


def _moved(compared: TaskInCatalog, lost: Sequence[KnownOutput]) -> dict[KnownOutput, CatalogFile]:
    """Return the files that the catalog has in another namespace; SAM has no namespaces."""
    if not lost or compared.catalog.kind == "sam":
        return {}
    outputs_by_name: dict[str, list[KnownOutput]] = {}
    for output in lost:
        outputs_by_name.setdefault(output.name, []).append(output)
    moved = {}
    for file in compared.catalog.find_files(sorted(outputs_by_name)):
        _, name = compared.catalog.split(file.name)
        for output in outputs_by_name.get(name, ()):
            if not file.is_retired and _is_same(output, file):
                moved[output] = file
    return moved


def _is_same(output: KnownOutput, file: CatalogFile) -> bool:
    """Return whether a file in another namespace has the size, and no other checksum."""
    if output.size_bytes is None or output.size_bytes != file.size_bytes:
        return False
    return not have_other_checksum(output.checksums, " ".join(file.checksums))


def _used(compared: TaskInCatalog, retired: Sequence[KnownOutput]) -> set[KnownOutput]:
    """Return the retired files from which something that counts was made, and is there.

    Records are asked first, then the catalog.
    """
    with compared.database.reading.connect() as connection:
        in_use = files_in_use(connection, [output.file for output in retired])
    used = {output for output in retired if output.file in in_use}
    full_names = {output: _full_name(compared, output) for output in retired if output not in used}
    if not full_names:
        return used
    parents: set[str] = set()
    for child in compared.catalog.read_children_of_retired(sorted(set(full_names.values()))):
        _, name = compared.catalog.split(child.name)
        if counts_for_unit(name, ()):
            parents.update(child.parents)
    used.update(output for output, full_name in full_names.items() if full_name in parents)
    return used


def _write_found(writing: Writing, *, compared: TaskInCatalog, found: _Found) -> _Settled:
    """Write what became of outputs."""
    connection, task = writing.connection, compared.task
    files = [*found.there.values(), *found.moved.values()]
    keys = intern_files(writing, compared.catalog, task.experiment_key, files)

    returned = [output for output in found.there if output.presence != Presence.THERE]
    mark_there(connection, task.key, _places(returned))
    remove_outputs(connection, task.key, _places(found.moved))
    moved_to = [OutputPlace(output.unit, keys[file.name]) for output, file in found.moved.items()]
    add_outputs(connection, task.key, moved_to)

    spent = [output for output in found.retired if output in found.used]
    gone = [output for output in found.retired if output not in found.used]
    presences = dict.fromkeys(_places(spent), Presence.SPENT)
    presences |= dict.fromkeys(_places(gone), Presence.GONE)
    put_outputs(connection, task.key, presences)

    recounted = {output.file for output in (*returned, *found.moved, *found.retired)}
    jobs = count_outputs_of_makers(connection, task.key, sorted(recounted))
    return _Settled(len(_files_lost_now(found, gone)), jobs)


def _files_lost_now(found: _Found, gone: Iterable[KnownOutput]) -> set[int]:
    """Return the files that are gone now and were not before.

    A file of several parents is an output of each: it was gone if one of these outputs was.
    """
    files = {output.file for output in gone}
    gone_before = {out.file for out in found.retired if out.presence == Presence.GONE}
    return files - gone_before


def _places(outputs: Iterable[KnownOutput]) -> list[OutputPlace]:
    return [output.place for output in outputs]
