"""Questions to parameters that are odd: huge numbers, long texts and keys.

There are also configurations that two experiments know apart.
"""

import hashlib

import pytest

from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.services.histories.impact import find_impact, stream_impact
from tests.library.production import Production
from tests.library.productions.configured_jobs import configured, found, paged
from tests.library.records import job_id

SHARED = b"threshold: 3\n"


def record_texts(production: Production, *texts: bytes) -> None:
    """Record a job of each text, numbered from 1."""
    production.record(
        *[configured(production, number, text) for number, text in enumerate(texts, 1)]
    )
    production.work()


def test_numbers_are_compared_by_all_their_digits(production: Production) -> None:
    record_texts(
        production,
        b"a: 9007199254740992",
        b"a: 9007199254740993",
        b"a: 1e400",
        b"a: infinity",
        b"a: 1e401",
    )

    assert found(production, parameter="a", value="<9007199254740993") == [1]
    assert found(production, parameter="a", value=">9007199254740992") == [2, 3, 4, 5]
    assert found(production, parameter="a", value="<=9007199254740992") == [1]
    assert found(production, parameter="a", value=">=infinity") == [4]
    assert found(production, parameter="*", value="<infinity") == [1, 2, 3, 5]
    assert found(production, parameter="*", value=">=1e401") == [4, 5]


def test_numbers_of_very_many_digits_have_a_size(production: Production) -> None:
    record_texts(
        production, b"a: 1%s" % (b"2" * 450), b"a: -0.%s" % (b"3" * 500), b"a: 1.%s" % (b"5" * 500)
    )

    assert found(production, parameter="a", value=">1e100") == [1]
    assert found(production, parameter="a", value="<0") == [2]
    assert found(production, parameter="a", value="<2") == [2, 3]
    assert found(production, parameter="a", value=f"1{'2' * 450}") == [1]
    assert found(production, parameter="a", value=f">=1.{'5' * 500}") == [1, 3]


def test_the_beginning_of_a_long_text_is_looked_at(production: Production) -> None:
    record_texts(production, b"a: 'tag_%s'" % (b"x" * 500), b"a: tag_y", b"a: '%s'" % (b"x" * 500))

    assert found(production, parameter="a", value="~tag_*") == [1, 2]
    assert found(production, parameter="a", value="~*_xx*") == [1]
    assert found(production, parameter="a", value="~*") == [1, 2, 3]
    # No letters of the digest that stands for the rest
    assert found(production, parameter="a", value="~*0*") == []
    assert found(production, parameter="a", value="~*x") == []


def test_a_very_long_key_hides_nothing_beside_it(production: Production) -> None:
    digits = "".join(hashlib.sha256(b"%d" % number).hexdigest() for number in range(60))
    long = f"k{digits}"  # more than an index of PostgreSQL takes, packed too
    record_texts(production, f"{long}: 1 b: 2".encode(), f"{long}x: 1 b: 2".encode())

    assert found(production, parameter="b", value="2") == [1, 2]
    assert found(production, parameter=long) == [1]
    assert found(production, parameter=f"{long[:100]}*", value="1") == [1, 2]


def told_apart(production: Production, parity: int) -> list[int]:
    """Record jobs of two experiments that share a configuration, which ran as 4 in one of them.

    Return those of it that ran with 3.

    Every job of dune but two ran the shared configuration beside one of its own, whose key is
    before or behind, by `parity`.
    """
    ran = production.upload(b"threshold: 4\n", "dune")
    first, last = (b"threshold: 3 # %d\n" % place for place in (1, 2))
    own = [
        configured(production, 1, text, experiment="dune")["configurations"][0]
        for text in (first, last)
    ]
    shared = configured(production, 1, SHARED, experiment="dune", final_sha256=ran)
    production.record({**shared, "configurations": own[:1]})
    production.record(configured(production, 2, SHARED, final_sha256=ran))
    both = [*shared["configurations"], *own]
    chosen = {
        number: [both[0], {**own[(number + parity) % 2], "step": "own"}] for number in range(3, 21)
    }
    production.record(*[{**shared, "job_id": job_id(number), "outputs": [{"name": f"o{number}", "size_bytes": 1}],
                         "configurations": listed} for number, listed in chosen.items()])  # fmt: skip
    production.record(
        {**shared, "job_id": job_id(21), "outputs": [{"name": "o21", "size_bytes": 1}]}
    )
    production.work()
    return [*range(20, 2, -1), 1]


@pytest.mark.slow
@pytest.mark.parametrize("parity", [0, 1])
def test_pages_lose_no_job_of_several_configurations(production: Production, parity: int) -> None:
    expected = told_apart(production, parity)

    assert paged(production, parameter="threshold", value="3", experiment="dune") == expected
    assert found(production, parameter="threshold", value="3") == sorted([*expected, 2])


@pytest.mark.slow
def test_what_is_touched_is_told_by_what_ran_in_each_experiment(production: Production) -> None:
    expected = told_apart(production, 0)
    filters = JobFilters(parameter="threshold", value="4")

    with production.database.reading.connect() as connection:
        touched = find_impact(connection, filters._replace(experiment="nova"), is_direct=True)
        of_three = find_impact(connection, filters._replace(value="3"), is_direct=True)
        four = {file.name for file in stream_impact(connection, filters, is_direct=True)}

    assert touched.jobs == 0
    assert of_three.jobs == len(expected) + 1
    assert four == {f"o{number}" for number in range(3, 22)}
