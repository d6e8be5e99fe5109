"""The one writer: which requests share a commit, and which have one to themselves."""

import threading
from collections.abc import Callable, Iterator, Sequence

import pytest
from sqlalchemy import event, text

from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.tables import LedgerEntry
from jobprov.provenance.db.tables.base import table_of
from jobprov.provenance.db.writer.keys import allocate_in_turn
from jobprov.provenance.db.writer.transaction import Transaction
from jobprov.provenance.db.writer.turns import LostTurnError
from jobprov.provenance.db.writer.write_queue import WriteQueue


class Held:
    """A writer that is kept busy until told to go on, so that requests gather behind it."""

    def __init__(self, database: Database) -> None:
        self.writer = WriteQueue(database.writing, Transaction)
        self._begun, self._go_on = threading.Event(), threading.Event()
        self._threads = [threading.Thread(target=lambda: self.writer.run(self._wait))]
        self._threads[0].start()
        assert self._begun.wait(60)

    def _wait(self, _transaction: Transaction) -> None:
        self._begun.set()
        self._go_on.wait(60)

    def ask(self, request: Callable[[], object]) -> None:
        """Have somebody ask; returns once the request waits."""
        waiting = self.writer._queue.qsize()
        self._threads.append(threading.Thread(target=request))
        self._threads[-1].start()
        while self.writer._queue.qsize() == waiting:
            threading.Event().wait(0.001)

    def go_on(self) -> None:
        """Let the writer work, and everybody be answered."""
        self._go_on.set()
        for thread in self._threads:
            thread.join(60)


@pytest.fixture
def held(database: Database) -> Iterator[Held]:
    held = Held(database)
    yield held
    held.go_on()
    held.writer.close()


def begun_transactions(database: Database) -> list[int]:
    """Return a list that grows by one with each transaction of the writer."""
    begun: list[int] = []
    event.listen(database.writing, "begin", lambda _connection: begun.append(1))
    return begun


def test_a_request_that_lost_its_turn_begins_anew(database: Database) -> None:
    tries: list[int] = []

    def write(_transaction: Transaction) -> int:
        tries.append(1)
        if len(tries) < 3:
            raise LostTurnError("another was first")
        return len(tries)

    writer = WriteQueue(database.writing, Transaction)
    begun = begun_transactions(database)

    assert writer.run(write) == len(begun) == 3
    writer.close()


def test_single_records_that_wait_together_are_one_group(held: Held) -> None:
    groups: list[list[int]] = []

    def record(_transaction: Transaction, items: Sequence[int]) -> list[int]:
        groups.append(sorted(items))
        return [item * 2 for item in items]

    answers: dict[int, int] = {}
    for number in range(5):
        held.ask(
            lambda number=number: answers.update({number: held.writer.run_gathered(record, number)})
        )
    held.go_on()

    assert groups == [[0, 1, 2, 3, 4]]
    assert answers == {number: number * 2 for number in range(5)}


def test_single_records_are_one_group_whatever_else_waits_between_them(held: Held) -> None:
    order: list[object] = []

    def record(_transaction: Transaction, items: Sequence[int]) -> Sequence[int]:
        order.append(list(items))
        return items

    held.ask(lambda: held.writer.run_gathered(record, 1))
    held.ask(lambda: held.writer.run(lambda _transaction: order.append("something else")))
    held.ask(lambda: held.writer.run_gathered(record, 2))
    held.go_on()

    assert order == ["something else", [1, 2]]


def test_who_numbers_ledger_entries_commits_before_the_next_request(
    held: Held, database: Database
) -> None:
    """Else two services wait for each other: for names of the one, for the numbers of the other."""
    begun = begun_transactions(database)
    seen: list[int] = []

    def number(transaction: Transaction) -> None:
        allocate_in_turn(transaction.connection, table_of(LedgerEntry), [1])
        seen.append(len(begun))

    for _ in range(3):
        held.ask(lambda: held.writer.run(number))
    held.ask(lambda: held.writer.run(lambda _transaction: seen.append(len(begun))))
    held.go_on()

    # SQLite has no turns: one transaction writes at a time
    assert seen == ([1, 1, 1, 1] if database.is_sqlite else [1, 2, 3, 4])


def test_large_batches_have_a_commit_each_and_small_requests_share_one(
    held: Held, database: Database
) -> None:
    begun = begun_transactions(database)

    def look(transaction: Transaction) -> int:
        transaction.connection.execute(text("SELECT 1"))
        return len(begun)

    seen: dict[str, int] = {}
    for name, weight in (("first", 500), ("second", 500), ("small", 1), ("smaller", 1)):
        held.ask(
            lambda name=name, weight=weight: seen.update({name: held.writer.run(look, weight)})
        )
    held.go_on()

    assert seen == {"first": 1, "second": 2, "small": 3, "smaller": 3}


def test_request_that_fails_takes_nothing_of_its_neighbours(held: Held) -> None:
    def insert(name: str) -> Callable[[Transaction], None]:
        def use_case(transaction: Transaction) -> None:
            transaction.connection.execute(
                text("INSERT INTO experiments (name) VALUES (:name)"), {"name": name}
            )
            if name == "bad":
                message = "refused"
                raise ValueError(message)

        return use_case

    problems: list[Exception] = []

    def ask(name: str) -> None:
        try:
            held.writer.run(insert(name))
        except ValueError as problem:
            problems.append(problem)

    for name in ("nova", "bad", "dune"):
        held.ask(lambda name=name: ask(name))
    held.go_on()

    names = held.writer.run(
        lambda transaction: (
            transaction.connection.execute(text("SELECT name FROM experiments")).scalars().all()
        )
    )
    assert sorted(names) == ["dune", "nova"]
    assert [str(problem) for problem in problems] == ["refused"]
