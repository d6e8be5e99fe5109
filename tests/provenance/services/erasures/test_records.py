"""Erasing a record: what takes its place, and what goes from ledger, archive and database.

The tests also tell what a replay makes of it.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from jobprov.archive.opening import open_store
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.queries.recording.dead_letters import list_letters
from jobprov.provenance.db.queries.recording.findings import what_kinds_used
from jobprov.provenance.db.statements.inserting import insert_rows
from jobprov.provenance.db.tables import (
    Conflict,
    EntryBody,
    Job,
    KeptAnswerRow,
    LogTailPiece,
    ProvisionalRecord,
)
from jobprov.provenance.db.tables.base import table_of
from jobprov.provenance.errors import BadInputError, ConflictError, NotFoundError, RecordError
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.bundles.job_bundle import build_bundle, earlier_bundle
from jobprov.provenance.services.erasures.records import ErasureRequest, RecordErasure, plan_erasure
from jobprov.provenance.services.erasures.traces import find_remains
from jobprov.provenance.services.intake.log_tails import Chunk, append_tail
from jobprov.provenance.services.intake.tokens import Grant
from jobprov.provenance.services.ledger.entries import read_entries
from jobprov.provenance.services.ledger.entry_bytes import find_holders
from jobprov.provenance.services.ledger.frames import SegmentError
from jobprov.provenance.services.ledger.segments import SegmentReader
from jobprov.provenance.services.lookup.job import find_job
from jobprov.provenance.services.recording.dead_letters import Undecoded, keep_letters
from jobprov.provenance.services.recording.jobs import record_jobs
from jobprov.provenance.services.recording.submissions import Outcome, Submission
from jobprov.provenance.services.upkeep.archive_checks import check_archive
from jobprov.provenance.services.upkeep.cleared_erasures import Cleared, finish_erasures
from jobprov.provenance.services.upkeep.database_rebuild import rebuild_database
from tests.library.logical_tables import differences
from tests.library.production import Production, shown_job, tables_at
from tests.library.productions.story import play
from tests.library.records import digest, job_id, record_of

SECRET = "hunter2-of-Ada"  # noqa: S105 - of nobody
FIELD = "environment.variables.DOOR"


@pytest.fixture
def production(database: Database, tmp_path: Path) -> Iterator[Production]:
    """Yield an empty production with an archive in files."""
    made = Production(database, open_store(f"file:{tmp_path / 'archive'}"), tmp_path)
    yield made
    made.close()


def secret_record(number: int = 1, **changes: Any) -> dict[str, Any]:
    return record_of(
        number, environment={"variables": {"SHARED": "same", "DOOR": SECRET}}, **changes
    )


def erase(production: Production, number: int = 1, **how: Any) -> tuple[RecordErasure, Cleared]:
    return production.erase_record(number, **{"fields": (FIELD,), **how})


def shown(production: Production, number: int = 1) -> dict[str, Any]:
    with production.database.reading.connect() as connection:
        return shown_job(connection, production.store, job_id(number))


def files_with(production: Production, text: str) -> list[str]:
    """Return the files below the production's folder that hold a text.

    Everything in the archive is unpacked for that.
    """
    found = [
        path.name
        for path in production.folder.iterdir()
        if path.is_file() and text.encode() in path.read_bytes()
    ]
    store = production.store
    found += [sha256 for sha256 in store.digests() if text.encode() in store.get(sha256)]
    for name in store.documents("ledger/"):
        if name.endswith(".head"):
            experiment, segment = name.split("/")[1], int(name.split("/")[2].removesuffix(".head"))
            reader = SegmentReader.open(store, experiment, segment)
            found += [name for entry in reader.entries() if text.encode() in entry.body]
    return found


def rebuilt(production: Production, tmp_path: Path) -> list[str]:
    """Return what differs between the database and one that is made from the archive alone."""
    production.seal()
    url = f"sqlite:///{tmp_path / 'elsewhere' / 'rebuilt.db'}"
    rebuild_database(production.store, url)
    return differences(production.tables(), tables_at(url))


def is_sound(production: Production) -> list[Any]:
    with production.database.reading.connect() as connection:
        return check_archive(connection, production.store).troubles


@pytest.mark.slow
@pytest.mark.parametrize("when", ["unsealed", "sealed"])
def test_variable_becomes_a_withheld_one_and_its_value_is_gone_everywhere(
    production: Production, when: str, tmp_path: Path
) -> None:
    production.record(record_of(2), secret_record(), record_of(3))
    if when == "sealed":
        production.seal()

    done, cleared = erase(production)

    record = shown(production)["record"]
    assert record["environment"] == {"variables": {"SHARED": "same"}, "withheld": ["DOOR"]}
    assert [(entry.kind, entry.revision) for entry in done.entries] == [("record", 0)]
    assert (cleared.segments, cleared.left, cleared.is_clear) == (int(when == "sealed"), (), True)
    assert files_with(production, SECRET) == []
    assert is_sound(production) == []
    assert rebuilt(production, tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("when", ["unsealed", "sealed"])
def test_packed_bytes_are_gone_from_the_file_of_the_database_and_its_log(
    production: Production, when: str, tmp_path: Path
) -> None:
    if not production.database.is_sqlite:
        pytest.skip("what a server keeps of deleted rows is its VACUUM's affair")
    production.record(*[record_of(number) for number in range(2, 40)], secret_record())
    with production.database.reading.connect() as connection:
        packed = bytes(
            connection.execute(select(EntryBody.body).order_by(EntryBody.entry_id.desc()))
            .scalars()
            .first()
            or b""
        )
    if when == "sealed":
        production.seal()
    assert any(packed in path.read_bytes() for path in tmp_path.glob("jobprov.db*")), (
        "a deleted row leaves its bytes"
    )

    erase(production)

    assert packed
    assert not any(packed in path.read_bytes() for path in tmp_path.glob("jobprov.db*"))


@pytest.mark.slow
def test_head_never_changes_and_all_other_leaves_are_proved_still(production: Production) -> None:
    production.record(*[record_of(number) for number in range(2, 300)], secret_record())
    production.seal()
    before = production.store.get_document("ledger/nova/00000001.head")

    erase(production)

    assert production.store.get_document("ledger/nova/00000001.head") == before
    names = [
        name
        for name in production.store.documents("ledger/nova/00000001")
        if name.endswith(".body")
    ]
    assert [name[-10:] for name in names] == ["-0001.body"]
    reader = SegmentReader.open(production.store, "nova", 1)
    entries = list(reader.entries())  # each is compared with its leaf
    assert [place for place, entry in enumerate(entries) if entry.erased] == [298]
    assert [entry.submitter for entry in entries] == ["token 1 hook"] * 299
    assert all(entry.body for entry in entries[:298])


@pytest.mark.slow
def test_second_erasure_of_a_segment_stands_in_the_place_of_the_first(
    production: Production, tmp_path: Path
) -> None:
    production.record(secret_record(1), secret_record(2), record_of(3))
    production.seal()

    erase(production, 1)
    erase(production, 2)

    names = [
        name
        for name in production.store.documents("ledger/nova/00000001")
        if name.endswith(".body")
    ]
    assert [name[-10:] for name in names] == ["-0002.body"]
    assert files_with(production, SECRET) == []
    assert is_sound(production) == []
    assert rebuilt(production, tmp_path) == []


def send(production: Production, record: dict[str, Any], **how: Any) -> Outcome:
    submission = Submission(
        decode_record(json.dumps(record, **how).encode()), production.tick(), "token 1 hook"
    )
    [outcome] = production.writer.run(lambda writing: record_jobs(writing, [submission]))
    return outcome


@pytest.mark.slow
def test_erased_record_sent_again_is_answered_erased_and_not_stored(production: Production) -> None:
    production.record(secret_record())
    erase(production)
    before = production.tables()

    outcomes = [
        send(production, secret_record()),
        send(production, secret_record(), indent=1),
        *production.record(record_of(1, exit={"code": 3}), secret_record(), secret_record()),
    ]

    assert [outcome.change for outcome in outcomes] == [
        "erased",
        "erased",
        "conflict",
        "erased",
        "erased",
    ]
    assert outcomes[0].missing_blobs == outcomes[2].missing_blobs
    after = production.tables()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"conflicts", "ledger_entries"}
    assert len(after["conflicts"]) == 1


@pytest.mark.slow
def test_bundle_that_held_the_record_goes_and_the_next_plan_has_the_corrected_one(
    production: Production,
) -> None:
    production.record(secret_record(), record_of(2))
    production.bundle(1)
    production.bundle(2)
    other = build_bundle(production.database, production.writer, production.store, job_id(2))

    done, _ = erase(production)

    assert len(done.plans) == 1
    assert files_with(production, SECRET) == []
    with pytest.raises(NotFoundError, match="held what was erased"):
        earlier_bundle(production.database, production.store, job_id(1), 1)
    bundle = build_bundle(production.database, production.writer, production.store, job_id(1))
    assert bundle.number == 2
    assert SECRET.encode() not in b"".join(bundle.stream())
    assert b"".join(other.stream())
    assert is_sound(production) == []


@pytest.mark.slow
def test_revision_that_is_right_already_stays_and_what_came_before_it_goes(
    production: Production, tmp_path: Path
) -> None:
    production.record(secret_record())
    production.record(secret_record(exit={"code": 0, "message": "first"}), reason="a message")
    production.record(record_of(1), reason="without it")
    production.verdict(1, "R5")
    production.record(record_of(1, exit={"code": 9}))
    production.seal()

    done, _ = erase(production, fields=())

    assert [(entry.kind, entry.revision) for entry in done.entries] == [
        ("record", 0),
        ("revision", 1),
    ]
    assert [row["revision"] for row in shown(production)["revisions"]] == [1, 2]
    assert files_with(production, SECRET) == []
    assert rebuilt(production, tmp_path) == []


@pytest.mark.slow
def test_contradiction_that_holds_it_goes_too_and_stays_evidence(
    production: Production, tmp_path: Path
) -> None:
    production.record(secret_record())
    production.record(secret_record(exit={"code": 1}), record_of(1))
    production.verdict(1, "R5")

    done, _ = erase(production)

    assert [entry.kind for entry in done.entries] == ["record", "conflict"]
    with production.database.reading.connect() as connection:
        conflicts = [row[0] for row in connection.execute(select(Conflict.entry_id))]
        assert len(read_entries(connection, production.store, conflicts)) == 1
    assert len(conflicts) == 2
    assert files_with(production, SECRET) == []
    assert send(production, secret_record(exit={"code": 1})).change == "erased"
    assert rebuilt(production, tmp_path) == []


@pytest.mark.slow
def test_everything_that_came_between_record_and_erasure_is_replayed(
    production: Production, tmp_path: Path
) -> None:
    production.record(secret_record(state="failed", exit={"code": 65}))
    production.verdict(1, "R5")
    production.bundle(1)
    production.record(record_of(1, witness="history", host={"hostname": "seen"}))
    production.record(record_of(1, exit={"code": 9}))
    production.seal()
    production.declare_rules(
        {"name": "code", "class": "data", "words": "the file is bad", "exit_code": [65]}
    )
    production.record(secret_record(2), record_of(3))
    erase(production, witness="wrapper")
    production.record(record_of(1, witness="startd"))
    production.record(record_of(1, outputs=[]), reason="again")
    erase(production, 2)
    production.work()

    assert files_with(production, SECRET) == []
    assert rebuilt(production, tmp_path) == []
    assert is_sound(production) == []


@pytest.mark.slow
def test_corrected_record_is_erased_again(production: Production, tmp_path: Path) -> None:
    production.record(secret_record(command={"argv": ["run", "second-secret"]}))
    production.seal()
    erase(production)

    done, _ = erase(production, fields=("command.argv[1]",))

    assert [(entry.kind, entry.revision) for entry in done.entries] == [("revision", 1)]
    assert shown(production)["record"]["command"] == {"argv": ["run", "[erased]"]}
    assert files_with(production, SECRET) + files_with(production, "second-secret") == []
    assert rebuilt(production, tmp_path) == []


@pytest.mark.slow
def test_story_of_every_kind_of_entry_is_rebuilt_after_erasures(
    production: Production, tmp_path: Path
) -> None:
    play(production)
    for number, how in ((2, {"witness": "history"}), (3, {}), (4, {}), (6, {}), (7, {}), (50, {})):
        erase(production, number, fields=("environment.variables.OWN", "host.hostname"), **how)
    production.work()

    assert rebuilt(production, tmp_path) == []
    assert is_sound(production) == []


@pytest.mark.slow
def test_running_job_is_corrected_and_what_it_said_is_not_taken_again(
    production: Production, tmp_path: Path
) -> None:
    running = secret_record(state="running", ended_at=None, exit=None, outputs=None)
    production.record(running, record_of(2))

    done, _ = erase(production)

    assert done.entries == []
    assert SECRET not in json.dumps(shown(production)["merged"])
    assert send(production, running).change == "erased"
    assert files_with(production, SECRET) == []
    with production.database.reading.connect() as connection:
        assert len(connection.execute(select(ProvisionalRecord.job_id)).all()) == 1
    assert rebuilt(production, tmp_path) == []


def test_what_stands_elsewhere_in_the_record_is_not_overlooked(production: Production) -> None:
    production.record(secret_record(command={"argv": ["run", f"--door={SECRET}"]}))

    with pytest.raises(
        RecordError, match=r"is in other fields of the record too: command\.argv\[1\]"
    ):
        erase(production)

    erase(production, fields=(FIELD, "command.argv[1]"))
    assert files_with(production, SECRET) == []


def test_corrected_record_of_a_file_takes_the_place(production: Production) -> None:
    production.record(secret_record())
    corrected = record_of(1, environment={"variables": {"SHARED": "same", "DOOR": "shut"}})

    done, _ = erase(production, fields=(), replacement=json.dumps(corrected).encode())

    assert done.texts == [SECRET]
    assert shown(production)["record"] == corrected
    assert files_with(production, SECRET) == []


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"fields": ()}, "Say what goes from the record"),
        ({"fields": ("environment.variables.NONE",)}, "has no field environment.variables.NONE"),
        ({"replacement": b"{}"}, "Name fields or a corrected record"),
        ({"fields": (), "replacement": json.dumps(secret_record()).encode()}, "says the same"),
        ({"fields": (), "replacement": json.dumps(record_of(2)).encode()}, "of another job"),
        ({"witness": "history"}, "by witness history"),
    ],
)
def test_erasure_without_a_sound_replacement_is_refused(
    production: Production, how: dict[str, Any], words: str
) -> None:
    production.record(secret_record())
    before = production.tables()

    with pytest.raises((BadInputError, NotFoundError, ConflictError), match=words):
        erase(production, **how)

    assert production.tables() == before


def test_words_that_hold_a_secret_are_refused(production: Production) -> None:
    production.record(secret_record())
    wanted = ErasureRequest(
        job_id(1), "Eve", "it had ghp_0123456789abcdefghijABCDEFGHIJ012345 in it", fields=(FIELD,)
    )

    with (
        production.database.reading.connect() as connection,
        pytest.raises(BadInputError, match="stay for ever"),
    ):
        plan_erasure(connection, production.store, wanted)


def test_plan_says_who_else_holds_it(production: Production) -> None:
    production.record(
        secret_record(1), secret_record(2), record_of(3), secret_record(1, witness="history")
    )
    production.see("f9.root", metadata={"note": f"opened by {SECRET}"})
    wanted = ErasureRequest(job_id(1), "Eve", "why", witness="wrapper", fields=(FIELD,))

    with production.database.reading.connect() as connection:
        planned = plan_erasure(connection, production.store, wanted)
        holders = find_holders(connection, production.store, "nova", [SECRET.encode()])

    assert planned.also == ["history"]
    assert [job.job_id for job in holders.jobs] == [job_id(1), job_id(2)]
    assert holders.others == {"sighting": 1}


@pytest.mark.slow
def test_job_that_a_running_service_takes_after_an_erasure_keeps_its_variables(
    production: Production, tmp_path: Path
) -> None:
    """The command that erases is another process than the one that records.

    The latter knew what the jobs of the stage shared.
    """
    production.record(secret_record(), record_of(2))
    command = Production(production.database, production.store, tmp_path)
    command.now = production.tick()
    erase(command)
    command.close()
    production.now = command.now

    production.record(
        record_of(3, environment={"variables": {"SHARED": "same", "DOOR": SECRET + " of another"}})
    )

    assert rebuilt(production, tmp_path) == []


@pytest.mark.slow
def test_dead_letters_of_the_job_go_and_what_many_share_is_told(production: Production) -> None:
    letters = [
        Undecoded(job_id(number), "no JSON", production.tick(), f"{{ {SECRET}".encode())
        for number in (1, 2)
    ]
    grant = Grant("nova", "token")
    production.writer.run(lambda writing: keep_letters(writing, grant, letters))
    production.record(secret_record(host={"hostname": f"wn-{SECRET}"}))

    done, _ = erase(production, fields=(FIELD, "host.hostname"))

    with production.database.reading.connect() as connection:
        assert [letter.job_id for letter in list_letters(connection, None, 10)] == [job_id(2)]
        assert find_remains(connection, done.texts) == {"hosts.hostname": 1, "dead_letters.body": 1}


def test_ends_of_logs_and_kept_answers_that_hold_it_go(production: Production) -> None:
    running = record_of(1, state="running", ended_at=None, exit=None, outputs=None)
    production.record(running, secret_record(witness="startd"), record_of(2))
    with production.database.reading.connect() as connection:
        found = find_job(connection, job_id(1))
    now = production.tick()
    pieces = [Chunk(found.key, found.experiment_key, "out", 0, b"open " + SECRET[:5].encode(), now)]
    pieces += [Chunk(found.key, found.experiment_key, "out", 10, SECRET[5:].encode(), now)]
    pieces += [Chunk(found.key, found.experiment_key, "err", 0, b"nothing", now)]
    answers = [
        {
            "question": word,
            "entry_id": 1,
            "counted_at": now,
            "seconds": 1.0,
            "document": json.dumps([word]),
        }
        for word in (f"about {SECRET}", "about others")
    ]
    for piece in pieces:
        production.writer.run(lambda writing, piece=piece: append_tail(writing.connection, piece))  # type: ignore[misc]
    production.writer.run(
        lambda writing: insert_rows(writing.connection, table_of(KeptAnswerRow), answers)
    )

    erase(production, witness="startd")

    with production.database.reading.connect() as connection:
        assert [row[0] for row in connection.execute(select(LogTailPiece.name))] == ["err"]
        assert [row[0] for row in connection.execute(select(KeptAnswerRow.question))] == [
            "about others"
        ]


@pytest.mark.slow
def test_jobs_of_the_kind_are_not_told_what_an_erased_trace_held(production: Production) -> None:
    kind = ("nova", digest(7))
    not_kept = [{"path": f"/data/{SECRET}", "reason": "too large"}]
    production.record(record_of(1, trace={"keys": [kind[1]], "not_kept": not_kept}))
    corrected = json.dumps(record_of(1)).encode()

    erase(production, fields=(), replacement=corrected)

    with production.database.reading.connect() as connection:
        assert what_kinds_used(connection, {kind}) == {}


@pytest.mark.slow
def test_crash_after_the_commit_is_finished_later(
    production: Production, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    production.record(secret_record(), record_of(2))
    production.bundle(1)
    production.seal()
    monkeypatch.setattr(
        "jobprov.provenance.services.upkeep.cleared_erasures.erase_bodies", lambda *_: 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        erase(production)
    monkeypatch.undo()
    kinds = [trouble.kind for trouble in is_sound(production)]
    production.seal()
    between = rebuilt(production, tmp_path)

    done = finish_erasures(production.erasing())

    assert set(kinds) == {"not-erased"}
    assert between == []
    assert done["nova"].segments == 1
    assert files_with(production, SECRET) == []
    assert is_sound(production) == []


@pytest.mark.slow
def test_crash_before_the_old_body_goes_leaves_it_readable_and_is_finished(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    production.record(secret_record(), record_of(2))
    production.seal()
    monkeypatch.setattr(type(production.store), "erase_documents", lambda _store, _names: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        erase(production)
    monkeypatch.undo()
    assert len(list(SegmentReader.open(production.store, "nova", 1).entries())) == 2

    finish_erasures(production.erasing())

    assert files_with(production, SECRET) == []
    assert is_sound(production) == []


@pytest.mark.slow
def test_body_that_is_gone_without_an_erasure_is_damage(
    production: Production, tmp_path: Path
) -> None:
    # As somebody would who hides something
    from jobprov.provenance.services.upkeep.cleared_erasures import erase_bodies  # noqa: PLC0415

    production.record(record_of(1), record_of(2))
    production.seal()
    erase_bodies(production.store, "nova", {1: {0}})

    troubles = is_sound(production)

    assert [(trouble.kind, trouble.name) for trouble in troubles] == [("body-missing", "nova")]
    assert [job.job_id for job in troubles[0].jobs] == [job_id(1), job_id(2)]
    with pytest.raises(SegmentError, match="no erasure says why"):
        rebuild_database(production.store, f"sqlite:///{tmp_path / 'rebuilt.db'}")


def test_job_keeps_the_moment_when_it_was_first_heard_of(production: Production) -> None:
    production.record(secret_record())
    with production.database.reading.connect() as connection:
        first = connection.execute(select(Job.received_at)).scalar_one()

    erase(production)

    with production.database.reading.connect() as connection:
        assert connection.execute(select(Job.received_at)).scalar_one() == first
