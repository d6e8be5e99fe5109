"""Records of attempts at units: some know their unit, some died before they could."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.library.records import a_record

BEGAN = datetime(2026, 1, 1, 9, tzinfo=UTC)
FILE = {"name": "out.root", "size_bytes": 7}


def attempt(
    number: int,
    unit: str | None,
    *,
    reads: tuple[str, ...] = (),
    batch: dict[str, Any] | None = None,
    task_id: str = "t1",
    **more: Any,
) -> dict[str, Any]:
    """Return the record of a job that read these files; one that read none failed."""
    fields: dict[str, Any] = {"state": "succeeded", "exit": {"code": 0}, "outputs": [FILE]}
    if not reads:
        fields = {"state": "failed", "exit": {"code": 3}}
    inputs = [{"name": name, "role": "primary", "evidence": "seen"} for name in reads]
    described = {"task_id": task_id} if unit is None else {"task_id": task_id, "unit": unit}
    return a_record(number, task=described, inputs=inputs, batch=batch, **{**fields, **more})


def in_dag(
    cluster: int, node: str = "reco_7", *, process: int = 0, dag: str = "70", schedd: str = "sched1"
) -> dict[str, Any]:
    """Return what the batch system calls a job of a node."""
    return {
        "system": "htcondor",
        "id": f"{cluster}.{process}@{schedd}",
        "global_job_id": f"{schedd}#{cluster}.{process}#1",
        "attempt": 1,
        "dag": dag,
        "dag_node": node,
    }


def alone(cluster: int, process: int, start: int) -> dict[str, Any]:
    """Return what the batch system calls a job of no DAG that was started so many times."""
    batch = in_dag(cluster, process=process)
    return {**batch, "attempt": start, "dag": None, "dag_node": None}


def commands(states: str, *, process: int = 7, first: int = 1, **more: Any) -> list[dict[str, Any]]:
    """Return the records of commands in one batch job: `s` succeeds, `f` fails, in this order."""
    records = []
    for place, letter in enumerate(states):
        is_good = letter == "s"
        began = BEGAN + timedelta(minutes=10 * place)
        fields: dict[str, Any] = {
            "state": "succeeded" if is_good else "failed",
            "exit": {"code": 0 if is_good else 3},
            "outputs": [FILE] if is_good else [],
            "started_at": _text_of(began),
            "ended_at": _text_of(began + timedelta(minutes=9)),
        }
        batch = {**alone(81, process, 1), "part": place}
        number = first + place
        records.append(attempt(number, str(process), **{"batch": batch, **fields, **more}))
    return records


def _text_of(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
