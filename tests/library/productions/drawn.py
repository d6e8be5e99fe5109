"""Small productions in which names, contents, witnesses and tasks collide, drawn at random."""

from typing import Any

from hypothesis import strategies as st

from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.services.catalogs.sightings import record_sighting
from tests.library.production import Production
from tests.library.productions.recorded_graph import Graph, read_graph
from tests.library.records import MOMENT, a_record, job_id

NAMES = ("a.root", "b.root", "c.root", "d.root")
STATES = ("succeeded", "succeeded", "succeeded", "failed", "killed")


@st.composite
def files(draw: st.DrawFn, *, is_output: bool) -> dict[str, Any]:
    """A file of few names and contents, so that names collide.

    Some say little, some contradict each other.
    """
    entry: dict[str, Any] = {"name": draw(st.sampled_from(NAMES))}
    content = draw(st.integers(0, 2))
    checksums = draw(st.sampled_from([(), (), ("adler32",), ("md5",), ("adler32", "md5")]))
    if checksums:
        entry["checksums"] = [
            f"{name}:{content:032x}"[: 8 + 33 * (name == "md5") + 8] for name in checksums
        ]
    if draw(st.booleans()):
        entry["size_bytes"] = content
    if draw(st.booleans()):
        entry["step"] = draw(st.sampled_from(["one", "two"]))
    if is_output and draw(st.integers(0, 4)) == 0:
        entry["parents"] = draw(st.lists(st.sampled_from(NAMES), max_size=2))
    if not is_output:
        entry["role"] = draw(st.sampled_from(["primary", "secondary", "shared"]))
    return entry


@st.composite
def seen_jobs(draw: st.DrawFn, number: int) -> list[tuple[str, Any, str | None]]:
    """What is sent of one job: ("record", record, reason of a revision).

    A revision comes after what it corrects.
    """
    sent: list[tuple[str, Any, str | None]] = []
    state = draw(st.sampled_from(STATES))
    shared = {"task": {"task_id": draw(st.sampled_from(["t1", "t2"])), "unit": "u"}}
    if draw(st.integers(0, 5)) == 0:
        shared["rerun_of"] = job_id(99)  # type: ignore[assignment]
    for witness in draw(
        st.sampled_from([["wrapper"], ["wrapper", "history"], ["history", "postcmd"]])
    ):
        record = a_record(
            number,
            inputs=draw(st.lists(files(is_output=False), max_size=2)),
            outputs=draw(st.lists(files(is_output=True), max_size=2)),
            witness=witness,
            **{**shared, "state": state},
        )
        if draw(st.integers(0, 3)) == 0:
            sent.append(
                (
                    "record",
                    {
                        **record,
                        "state": "running",
                        "inputs": draw(st.lists(files(is_output=False))),
                    },
                    None,
                )
            )
        sent.append(("record", record, None))
        if draw(st.integers(0, 3)) == 0:
            corrected = {**record, "outputs": draw(st.lists(files(is_output=True), max_size=2))}
            sent.append(("record", corrected, f"wrong outputs of {witness}"))
    return sent


@st.composite
def sightings(draw: st.DrawFn) -> tuple[str, Any, None]:
    seen = draw(files(is_output=True))
    metadata: dict[str, str] = {}
    if draw(st.booleans()):
        metadata = {
            "prov.job_id": job_id(draw(st.integers(1, 4))),
            "prov.output": draw(st.sampled_from(NAMES)),
        }
    if draw(st.booleans()):
        metadata["prov.task_id"] = "t1"
    return "sighting", {"experiment": "nova", **seen, "metadata": metadata}, None


@st.composite
def productions(draw: st.DrawFn) -> list[tuple[str, Any, str | None]]:
    sent = [
        item for number in range(1, draw(st.integers(2, 4)) + 1) for item in draw(seen_jobs(number))
    ]
    return sent + draw(st.lists(sightings(), max_size=2))


def graph_of(database: Database, batches: list[list[tuple[str, Any, str | None]]]) -> Graph:
    production = Production(database)
    for batch in batches:
        for reason in dict.fromkeys(item[2] for item in batch):
            records = [item[1] for item in batch if item[0] == "record" and item[2] == reason]
            if records:
                production.record(*records, reason=reason)
        for kind, document, _ in batch:
            if kind == "sighting":
                production.write(
                    lambda writing, seen=document: record_sighting(writing, seen),
                    received_at=MOMENT,
                )
    production.close()
    with database.reading.connect() as connection:
        return read_graph(connection)
