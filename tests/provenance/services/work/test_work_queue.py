"""The queue of background work: what is done, in which order, how often, and in how many turns."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from jobprov.provenance.db.queries.work.queue import WaitingItem, waiting_items
from jobprov.provenance.db.tables import WorkItem
from jobprov.provenance.errors import UnreachableError
from jobprov.provenance.services.work.queue import (
    FIRST_DELAY,
    Parts,
    Together,
    drain,
    enqueue,
    enqueue_all,
    enqueue_news,
)
from jobprov.provenance.services.writing import Writing

TOLD = "tell"


class Teller:
    """Does items by noting their keys.

    Attributes:
        told: the keys of items that were begun, in order.
        meanwhile: what happens while an item is worked on.
    """

    def __init__(self, meanwhile: Callable[[Parts, str], None] = lambda _parts, _key: None) -> None:
        self.told: list[str] = []
        self.meanwhile = meanwhile

    def __call__(self, parts: Parts, key: str) -> None:
        """Do an item."""
        self.told.append(key)
        self.meanwhile(parts, key)


def queue(parts: Parts, *keys: str) -> None:
    parts.writer.run(lambda writing: enqueue_all(writing.connection, TOLD, keys))


def waiting(parts: Parts) -> list[WaitingItem]:
    with parts.database.reading.connect() as connection:
        return waiting_items(connection)


def test_what_is_due_first_is_done_first_and_goes(parts: Parts) -> None:
    earlier = datetime.now(UTC) - timedelta(hours=1)
    queue(parts, "b", "c")
    parts.writer.run(lambda writing: enqueue(writing.connection, TOLD, "a", due_at=earlier))
    teller = Teller()

    assert drain(parts, {TOLD: teller}) == 3

    assert teller.told == ["a", "b", "c"]
    assert waiting(parts) == []


def test_items_of_other_kinds_and_of_later_are_left_alone(parts: Parts) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    parts.writer.run(lambda writing: enqueue(writing.connection, TOLD, "later", due_at=later))
    parts.writer.run(lambda writing: enqueue(writing.connection, "other", "now"))
    teller = Teller()

    assert drain(parts, {TOLD: teller}) == 0

    assert teller.told == []
    assert {item.key for item in waiting(parts)} == {"later", "now"}


def test_one_turn_of_the_writer_ends_an_item_and_takes_the_next(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue(parts, "a", "b", "c")
    turns = 0
    run = parts.writer.run

    def counted(use_case: Callable[[Writing], object]) -> object:
        nonlocal turns
        turns += 1
        return run(use_case)

    monkeypatch.setattr(parts.writer, "run", counted)
    drain(parts, {TOLD: Teller()})

    assert turns == 4  # the first is taken, and after the last there is none


def test_what_is_left_when_the_service_stops_is_free_for_the_next(parts: Parts) -> None:
    queue(parts, "a", "b")
    first, second = Teller(), Teller()

    drain(parts, {TOLD: first}, until=lambda: bool(first.told))
    drain(parts, {TOLD: second})

    assert first.told == ["a"]
    assert second.told == ["b"]


def test_what_fails_is_tried_again_later_and_holds_up_nothing(parts: Parts) -> None:
    queue(parts, "a", "b")

    def fail(_parts: Parts, key: str) -> None:
        if key == "a":
            raise UnreachableError("The repository does not answer.")

    before = datetime.now(UTC)
    assert drain(parts, {TOLD: Teller(fail)}) == 1

    (item,) = waiting(parts)
    assert (item.key, item.attempts) == ("a", 1)
    assert item.last_error == "The repository does not answer."
    assert datetime.fromisoformat(item.due_at) >= before + FIRST_DELAY


def test_items_that_are_done_together_are_taken_so_many_at_once(parts: Parts) -> None:
    groups: list[list[str]] = []
    queue(parts, "a", "b", "c")
    parts.writer.run(lambda writing: enqueue(writing.connection, "other", "d"))
    together = Together(lambda _parts, keys: groups.append(list(keys)), most=2)

    assert drain(parts, {TOLD: together}) == 3

    assert groups == [["a", "b"], ["c"]]
    assert [item.key for item in waiting(parts)] == ["d"]


def test_of_items_that_failed_together_each_is_tried_alone(parts: Parts) -> None:
    groups: list[list[str]] = []

    def work(_parts: Parts, keys: Sequence[str]) -> None:
        groups.append(list(keys))
        if "b" in keys:
            raise UnreachableError("The record cannot be read.")

    queue(parts, "a", "b", "c")
    together = Together(work, most=9)
    assert drain(parts, {TOLD: together}) == 0
    assert [item.attempts for item in waiting(parts)] == [1, 1, 1]

    now = datetime.now(UTC)
    parts.writer.run(
        lambda writing: writing.connection.execute(update(WorkItem).values(due_at=now))
    )
    assert drain(parts, {TOLD: together}) == 2

    assert groups == [["a", "b", "c"], ["a"], ["b"], ["c"]]
    assert [(item.key, item.attempts) for item in waiting(parts)] == [("b", 2)]


def test_news_of_one_of_several_has_that_one_done_once_more(parts: Parts) -> None:
    groups: list[list[str]] = []

    def work(parts: Parts, keys: Sequence[str]) -> None:
        groups.append(list(keys))
        if len(groups) == 1:
            parts.writer.run(lambda writing: enqueue_news(writing.connection, TOLD, ["b"]))

    queue(parts, "a", "b")

    assert drain(parts, {TOLD: Together(work, most=9)}) == 3

    assert groups == [["a", "b"], ["b"]]
    assert waiting(parts) == []


def test_news_of_what_is_worked_on_has_it_done_once_more(parts: Parts) -> None:
    def hear(parts: Parts, _key: str) -> None:
        if len(teller.told) == 1:
            parts.writer.run(lambda writing: enqueue_news(writing.connection, TOLD, ["a", "b"]))

    teller = Teller(hear)
    queue(parts, "a")

    assert drain(parts, {TOLD: teller}) == 3

    assert sorted(teller.told) == ["a", "a", "b"]
    assert waiting(parts) == []


def test_what_is_worked_on_and_merely_asked_for_again_is_done_once(parts: Parts) -> None:
    teller = Teller(queue)
    queue(parts, "a")

    assert drain(parts, {TOLD: teller}) == 1

    assert teller.told == ["a"]
    assert waiting(parts) == []


def test_news_of_what_waits_is_told_once(parts: Parts) -> None:
    queue(parts, "a")
    parts.writer.run(lambda writing: enqueue_news(writing.connection, TOLD, ["a"]))
    teller = Teller()

    drain(parts, {TOLD: teller})

    assert teller.told == ["a"]


def test_an_item_whose_worker_died_is_taken_by_another(parts: Parts) -> None:
    def die(_parts: Parts, _key: str) -> None:
        raise SystemExit

    queue(parts, "a")
    with pytest.raises(SystemExit):
        drain(parts, {TOLD: Teller(die)})
    teller = Teller()
    assert drain(parts, {TOLD: teller}) == 0  # it may be alive still

    run_out = datetime.now(UTC) - timedelta(seconds=1)
    parts.writer.run(
        lambda writing: writing.connection.execute(update(WorkItem).values(leased_until=run_out))
    )

    assert drain(parts, {TOLD: teller}) == 1
    assert teller.told == ["a"]
