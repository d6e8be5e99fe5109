"""Which jobs are attempts at one unit although not all of their records know it.

A job that dies before it reads its input cannot name its unit after it. Its record names the job's
place in its submission instead: its number, or its node of a DAG. Whatever begins in the same place
again is another attempt at the same unit, and may know which one that is.

Source: docs/decisions/0053-attempts-without-a-unit.md.
"""

import hashlib

import msgspec

from jobprov.provenance.records.job_record import Batch, Input, JobRecord

_READ_AS_UNIT = frozenset({None, "primary"})
_WITHOUT_PARTS = frozenset({"gridengine", "panda"})
"""Batch systems of which nobody numbers what several records of one job are."""
_FIRST_STEPS = ("", "0")  # of a batch job of Slurm: its script, and the one task of its first step


def node_of(record: JobRecord) -> int | None:
    """Return a digest of the place in its submission that a job was begun in; None without one.

    A batch job that is in no DAG has one only if it was or may be started again.
    """
    task, batch = record.task, record.batch
    if task is None or task.task_id is None or batch is None or record.rerun_of is not None:
        return None
    is_once = record.state == "succeeded" and batch.attempt == 1
    if is_once and not (batch.dag and _name_of_node(batch)):
        return None
    return node_of_batch(record.experiment, task.task_id, batch)


def node_of_batch(experiment: str, task_id: str, batch: Batch) -> int | None:
    """Return a digest of the place in its submission that a batch job has; None without one.

    That is the job's node in its DAG, and one of the node's processes. A batch job that is in no
    DAG is a node of its own.
    """
    place: tuple[str, ...]
    if batch.dag and (node := _name_of_node(batch)):
        place = batch.dag, *_of_batch_id(batch), node
    elif batch.id and batch.system not in _WITHOUT_PARTS:
        place = (_of_slurm(batch)[0] or batch.id,)
    else:
        return None
    text = msgspec.json.encode((experiment, task_id, place))
    # 63 bits: so a column of integers holds it
    return int.from_bytes(hashlib.sha256(text).digest()[:8]) >> 1


def _name_of_node(batch: Batch) -> str | None:
    return batch.dag_node or batch.section


def _of_slurm(batch: Batch) -> tuple[str, str]:
    """Return job and step in an id of Slurm like `4` or `4.0.2`, '' for what lacks."""
    if batch.system != "slurm":
        return "", ""
    job, _, step = (batch.id or "").partition(".")
    return job, step


def _of_batch_id(batch: Batch) -> tuple[str, str]:
    """Return schedd and process number in an id like `81234.17@sched01`, '' for what lacks."""
    number, _, schedd = (batch.id or "").partition("@")
    return schedd, number.partition(".")[2]


def unit_of(record: JobRecord) -> str | None:
    """Return the unit that a record names.

    A batch job of Slurm that names none is a unit of its own, however often it is started.
    """
    task, batch = record.task, record.batch
    if task is None or task.unit is not None or batch is None:
        return task.unit if task else None
    if task.task_id is None or record.rerun_of is not None or _is_further(batch):
        return None
    # With the cluster's name: so it is no unit that anybody declared
    return batch.global_job_id if batch.system == "slurm" else None


def knows_unit(record: JobRecord) -> bool:
    """Return whether a record knows its unit.

    Otherwise the record names a place in the submission, or nothing, and the job has read nothing
    that it could have named its unit after.
    """
    batch = record.batch or Batch()
    if _is_further(batch) or any(map(_is_read_as_unit, record.inputs or ())):
        return True
    unit = record.task.unit if record.task else None
    return unit is not None and not unit.isdecimal() and unit not in _names_of_place(batch)


def _is_further(batch: Batch) -> bool:
    """Return whether a batch job made several records, be they of several steps.

    It works on several units.
    """
    return bool(batch.part) or _of_slurm(batch)[1] not in _FIRST_STEPS


def _is_read_as_unit(file: Input) -> bool:
    # The hook names no unit after what only tracing shows
    return file.role in _READ_AS_UNIT and file.evidence != "traced"


def _names_of_place(batch: Batch) -> tuple[str | None, ...]:
    """Return what the hook names a unit by for want of an input, apart from numbers."""
    _, process = _of_batch_id(batch)
    return batch.section, batch.dag_node, f"{batch.dag_node}.{process}"
