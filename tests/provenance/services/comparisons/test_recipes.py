"""Recipes with more than one result: found in a fleet, and what differs."""

from typing import Any

import pytest

from jobprov.provenance.answers.comparisons.recipes import DivergentRecipes
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.records.recipes import parse_recipe
from jobprov.provenance.services.comparisons.recipes import list_divergent, show_recipe
from jobprov.provenance.services.lookup.jobs import list_jobs
from tests.library.production import Production
from tests.library.records import a_record, digest


def run(number: int, *, seed: int = 1, content: int = 1, **more: Any) -> dict[str, Any]:
    output = {"name": f"out{number}.root", "content_digest": f"root-content-2:{digest(content)}"}
    return a_record(
        number,
        outputs=[output],
        seeds=[{"module": "evgen", "seed": seed}],
        command={"argv": ["gen", "-o", output["name"]]},
        software=[{"name": "gen", "revision": "1" * 40}],
        **more,
    )


@pytest.fixture
def fleet(production: Production) -> Production:
    """Record three recipes: one that agrees with itself, and two that do not.

    One of the two is another experiment's.
    """
    production.record(
        run(1),
        run(2, host={"hostname": "wn2"}),
        run(3, seed=2, content=3, host={"hostname": "wn3", "cpu_model": "old"}),
        run(4, seed=2, content=4, host={"hostname": "wn4", "cpu_model": "new"}),
        run(5, seed=2, content=4, state="failed"),
        run(6, seed=2, content=3, rerun_of=a_record(3)["job_id"]),
        run(7, seed=9, content=7, experiment="dune"),
        run(8, seed=9, content=8, experiment="dune"),
        a_record(9),
    )
    return production


def divergent(fleet: Production, **query: Any) -> DivergentRecipes:
    with fleet.database.reading.connect() as connection:
        return list_divergent(connection, **query)


def test_recipes_with_more_than_one_result_are_listed_page_by_page(fleet: Production) -> None:
    [recipe] = divergent(fleet, experiment="nova").recipes
    first = divergent(fleet, limit=1)
    second = divergent(fleet, limit=1, cursor=first.next)

    assert recipe.job_count == 4
    assert [(row.job_count, row.result_id is not None) for row in recipe.results] == [
        (2, True),
        (1, True),
        (1, False),
    ]
    assert len({row.recipe_id for page in (first, second) for row in page.recipes}) == 2
    assert second.next is None


def test_page_of_a_recipe_says_what_differs(fleet: Production) -> None:
    [listed] = divergent(fleet, experiment="nova").recipes
    with fleet.database.reading.connect() as connection:
        shown = show_recipe(connection, fleet.store, listed.recipe_id)

    assert shown.is_divergent
    assert [list(row.digests.values()) for row in shown.outputs] == [
        [f"root-content-2:{digest(3)}", f"root-content-2:{digest(4)}"]
    ]
    assert [row.field for row in shown.differences] == ["host.cpu_model", "host.hostname"]
    assert {row.job_id for row in shown.results[0].jobs} == {
        a_record(3)["job_id"],
        a_record(6)["job_id"],
    }


def test_jobs_are_filtered_by_recipe(fleet: Production) -> None:
    [listed] = divergent(fleet, experiment="nova").recipes
    with fleet.database.reading.connect() as connection:
        found = list_jobs(connection, JobFilters(recipe=parse_recipe(listed.recipe_id)))

    assert {row.job_id for row in found.jobs} == {
        a_record(number)["job_id"] for number in (3, 4, 5, 6)
    }


def test_results_of_two_algorithms_are_no_divergence(production: Production) -> None:
    production.record(
        run(1),
        {
            **run(2),
            "outputs": [{"name": "out2.root", "content_digest": f"root-masked-1:{digest(1)}"}],
        },
    )

    assert divergent(production).recipes == []


def test_correction_changes_the_recipe(fleet: Production) -> None:
    fleet.record(run(4, seed=5, content=4), reason="the seed was another")
    fleet.record(run(6, seed=5, content=4), reason="the seed was another")

    assert divergent(fleet, experiment="nova").recipes == []


def test_what_is_no_recipe_is_refused(fleet: Production) -> None:
    with fleet.database.reading.connect() as connection:
        with pytest.raises(BadInputError, match="recipe_id"):
            show_recipe(connection, fleet.store, "r1:zz")
        with pytest.raises(NotFoundError):
            show_recipe(connection, fleet.store, f"r1:{'0' * 32}")
    with pytest.raises(BadInputError, match="cursor"):
        divergent(fleet, cursor="7")
