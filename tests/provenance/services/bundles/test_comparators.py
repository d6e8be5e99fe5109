"""Comparators of an experiment: every version is kept, the newest counts."""

from typing import Any

import pytest

from jobprov.provenance.answers.bundles import ComparatorsDeclared
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.services.bundles.comparators import (
    comparators_of,
    declare_comparators,
    show_comparators,
)
from tests.library.production import Production
from tests.library.records import MOMENT

FIRST = {"output": [{"pattern": "*.root", "comparator": "numeric", "relative": 1e-9}]}
SECOND = {
    "output": [{"pattern": "*.log", "required": False}, {"pattern": "*", "comparator": "content"}]
}


def declare(
    production: Production, document: dict[str, Any], experiment: str = "nova"
) -> ComparatorsDeclared:
    answer: ComparatorsDeclared = production.write(
        lambda writing: declare_comparators(writing, experiment, document), received_at=MOMENT
    )
    return answer


def test_newest_version_counts_and_all_are_kept(production: Production) -> None:
    answers = [declare(production, document) for document in (FIRST, SECOND, SECOND)]
    with production.database.reading.connect() as connection:
        rules = comparators_of(connection, "nova")
        shown = show_comparators(connection, "nova")
        first = show_comparators(connection, "nova", version=1)

    assert [(answer.version, answer.is_new) for answer in answers] == [
        (1, True),
        (2, True),
        (2, False),
    ]
    assert [rule.pattern for rule in rules] == ["*.log", "*"]
    assert (shown.version, shown.comparators) == (2, SECOND)
    assert first.comparators == FIRST
    assert [row.version for row in shown.versions] == [2, 1]


def test_experiments_have_their_own(production: Production) -> None:
    declare(production, FIRST)
    with production.database.reading.connect() as connection:
        assert comparators_of(connection, "dune") == []
        with pytest.raises(NotFoundError):
            show_comparators(connection, "dune")
        with pytest.raises(NotFoundError, match="version 7"):
            show_comparators(connection, "nova", version=7)


def test_wrong_rules_leave_nothing_behind(production: Production) -> None:
    with pytest.raises(BadInputError):
        declare(production, {"output": [{"pattern": "*", "comparator": "guess"}]})
    with production.database.reading.connect() as connection:
        assert comparators_of(connection, "nova") == []
