"""Ends, paths, common ancestors, costs and orphans, on both databases.

Counted by hand on small productions.
"""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from jobprov.provenance.db.queries.histories.whole_histories import History
from jobprov.provenance.db.queries.lookup.lists.files import FileFilters
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.services.catalogs.sightings import record_sighting
from jobprov.provenance.services.histories import relations as relate_files
from jobprov.provenance.services.histories.costs import sum_costs
from jobprov.provenance.services.histories.ends import list_leaves, list_orphans, list_roots
from jobprov.provenance.services.histories.lineage import trace_lineage
from jobprov.provenance.services.histories.lineage_filters import NodeFilters
from jobprov.provenance.services.histories.lineage_lists import list_ancestors, list_descendants
from jobprov.provenance.services.histories.rebuilds import plan_rebuild
from jobprov.provenance.services.histories.relations import find_common, find_paths
from jobprov.provenance.services.histories.sentences import leaves_sentence, orphan_use
from jobprov.provenance.services.lookup.file import show_file
from jobprov.provenance.services.lookup.files import list_files
from jobprov.provenance.services.search.search import search
from jobprov.provenance.services.tasks.declarations import declare_task
from tests.library.production import Production
from tests.library.records import MOMENT, a_record, chain, file_entry, job_id


def asked(production: Production, question: Any, *names: Any, **how: Any) -> dict[str, Any]:
    """Return the answer to a question as a client reads it."""
    with production.database.reading.connect() as connection:
        answer: dict[str, Any] = msgspec.to_builtins(question(connection, *names, **how))
        return answer


def names(rows: list[dict[str, Any]]) -> list[str]:
    return [row["name"] for row in rows]


@pytest.fixture
def diamond(production: Production) -> Production:
    """One raw file, two ways to merged, one of them with a stop more; a shared calib.

    A plot, and a skim of the left way.
    """
    shared = file_entry("calib", 90, role="shared")
    production.record(
        a_record(1, outputs=[file_entry("raw", 1)]),
        a_record(2, inputs=[file_entry("raw", 1), shared], outputs=[file_entry("left", 2)]),
        a_record(3, inputs=[file_entry("raw", 1), shared], outputs=[file_entry("mid", 3)]),
        a_record(
            4,
            inputs=[file_entry("mid", 3), file_entry("extern", 4)],
            outputs=[file_entry("right", 5)],
        ),
        a_record(
            5,
            inputs=[file_entry("left", 2), file_entry("right", 5)],
            outputs=[file_entry("merged", 6)],
        ),
        a_record(6, inputs=[file_entry("merged", 6)], outputs=[file_entry("plot", 7)]),
        a_record(7, inputs=[file_entry("left", 2)], outputs=[file_entry("skim", 8)]),
        a_record(8, inputs=[file_entry("merged", 6)], state="failed"),
    )
    return production


def test_roots_and_leaves_are_where_a_history_ends(diamond: Production) -> None:
    roots = asked(diamond, list_roots, "plot")
    assert (sorted(names(roots["files"])), roots["count"]) == (["extern", "raw"], 2)
    assert [file["is_placeholder"] for file in roots["files"]] == [False, True]
    assert sorted(names(asked(diamond, list_leaves, "raw")["files"])) == ["plot", "skim"]
    assert names(asked(diamond, list_leaves, "plot")["files"]) == ["plot"]
    assert names(asked(diamond, list_roots, "calib")["files"]) == ["calib"]


def test_sentence_about_leaves_says_who_read_a_file_from_which_nothing_was_made(
    diamond: Production,
) -> None:
    diamond.record(
        a_record(20, inputs=[file_entry("plot", 7)], state="failed"),
        a_record(21, inputs=[file_entry("plot", 7)], state="failed"),
        a_record(22, inputs=[file_entry("lonely", 22)], state="killed"),
    )

    def sentence_about(name: str) -> str:
        with diamond.database.reading.connect() as connection:
            return leaves_sentence(list_leaves(connection, name))

    assert sentence_about("plot") == "No file was made from it. 2 jobs read it; both failed."
    assert sentence_about("lonely") == "No file was made from it. 1 job read it; 1 killed."
    assert sentence_about("skim") == "Nothing was made from it."
    assert sentence_about("calib") == "No file was made from it. 2 jobs read it, as shared input."
    assert sentence_about("merged") == "1 final product came from it."
    diamond.record(
        a_record(23, inputs=[file_entry("plot", 7)]),
        a_record(24, inputs=[file_entry("plot", 7)], state="killed"),
    )
    assert sentence_about("plot") == "No file was made from it. 4 jobs read it; 2 failed, 1 killed."


def test_ends_come_page_by_page(diamond: Production) -> None:
    first = asked(diamond, list_leaves, "raw", limit=1)
    second = asked(diamond, list_leaves, "raw", limit=1, cursor=first["next"])

    assert sorted(names(first["files"] + second["files"])) == ["plot", "skim"]
    assert second["next"] is None
    with pytest.raises(BadInputError, match="limit"):
        asked(diamond, list_leaves, "raw", limit=0)


def test_no_end_is_passed_over_when_more_was_told_of_one_that_was_listed(
    diamond: Production,
) -> None:
    """Claims are written anew then, under other keys.

    And where the end is one no longer, one less stands before the next page.
    """
    first = asked(diamond, list_leaves, "raw", limit=1)
    assert names(first["files"]) == ["plot"]

    diamond.record({**a_record(6), "witness": "history", "inputs": None, "outputs": None})
    assert names(asked(diamond, list_leaves, "raw", limit=1, cursor=first["next"])["files"]) == [
        "skim"
    ]
    diamond.record(a_record(9, inputs=[file_entry("plot", 7)], outputs=[file_entry("talk", 9)]))
    rest = asked(diamond, list_leaves, "raw", cursor=first["next"])
    assert (names(rest["files"]), rest["count"]) == (["skim", "talk"], 2)


def test_paths_go_from_the_older_file_to_the_younger_shortest_first(diamond: Production) -> None:
    for first, second, older in (("raw", "plot", "a"), ("plot", "raw", "b")):
        found = asked(diamond, find_paths, first, second)
        assert (found["older"], [path["jobs"] for path in found["paths"]]) == (older, [3, 4])
        files = [
            [node["name"] for node in path["nodes"] if node["kind"] == "file"]
            for path in found["paths"]
        ]
        assert files == [
            ["raw", "left", "merged", "plot"],
            ["raw", "mid", "right", "merged", "plot"],
        ]
        assert all(path["is_sure"] for path in found["paths"])


def test_paths_of_files_that_have_none_are_none(diamond: Production) -> None:
    found = asked(diamond, find_paths, "skim", "plot")
    assert (found["older"], found["paths"], found["is_truncated"]) == (None, [], False)
    assert asked(diamond, find_paths, "raw", "raw")["paths"] == []
    with pytest.raises(NotFoundError):
        asked(diamond, find_paths, "raw", "unheard of")


def test_path_from_a_shared_input_says_so(diamond: Production) -> None:
    [shortest, *_] = asked(diamond, find_paths, "calib", "left")["paths"]
    assert names([node for node in shortest["nodes"] if node["kind"] == "file"]) == [
        "calib",
        "left",
    ]


def ladder(steps: int) -> list[dict[str, Any]]:
    """Return jobs of which the last file has two to the power of `steps` ways from the first."""
    records = [a_record(1, outputs=[file_entry("m0", 10)])]
    for step in range(steps):
        sides = [file_entry(f"{side}{step}", 1000 + 10 * step + n) for n, side in enumerate("lr")]
        for n, side in enumerate(sides):
            records.append(
                a_record(
                    10 * step + 11 + n, inputs=[file_entry(f"m{step}", 10 + step)], outputs=[side]
                )
            )
        records.append(
            a_record(10 * step + 15, inputs=sides, outputs=[file_entry(f"m{step + 1}", 11 + step)])
        )
    return records


def test_paths_are_so_many_at_most_however_many_there_are(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    production.record(*ladder(20))

    found = asked(production, find_paths, "m0", "m20", limit=7)
    assert ([path["jobs"] for path in found["paths"]], found["is_truncated"]) == ([40] * 7, True)
    monkeypatch.setattr(relate_files, "MOST_STEPS", 50)
    assert asked(production, find_paths, "m0", "m20", limit=100)["is_truncated"]


def ring(count: int) -> History:
    """Return a history of so many files made of each other in a circle, and the start of one."""
    history = History("c0")
    for place in range(1, count + 1):
        history.join(f"c{place % count + 1}", f"j{place}")
        history.join(f"j{place}", f"c{place}")
    history.join("c1", "j0")
    history.join("j0", "c0")
    return history


@pytest.mark.slow
def test_long_way_is_found_without_looking_back_over_it(monkeypatch: pytest.MonkeyPatch) -> None:
    history = History("c0")
    for place in range(3000):
        history.join(f"c{place + 1}", f"j{place}")
        history.join(f"j{place}", f"c{place}")
    monkeypatch.setattr(relate_files, "_MOST_LOOKS", 1)

    [way], is_whole = relate_files._shortest_ways(history, {"c3000"}, 10)

    assert (len(way), is_whole) == (6001, True)


def test_way_goes_round_a_circle_once_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    [way], is_whole = relate_files._shortest_ways(ring(50), {"c50"}, 10)
    assert (next(key for key in way if key[0] == "c"), len(way), len(set(way)), is_whole) == (
        "c50",
        101,
        101,
        True,
    )

    monkeypatch.setattr(relate_files, "_MOST_LOOKS", 100)
    assert relate_files._shortest_ways(ring(50), {"c50"}, 10) == ([], False)


def test_common_ancestors_come_nearest_first_without_hubs(diamond: Production) -> None:
    found = asked(diamond, find_common, "skim", "plot")

    assert [
        (row["name"], row["is_nearest"], row["jobs_to_a"], row["jobs_to_b"])
        for row in found["ancestors"]
    ] == [
        ("left", True, 1, 2),
        ("raw", False, 2, 3),
    ]
    assert (names(found["hubs"]), found["hub_count"], found["count"]) == (["calib"], 1, 2)
    few = asked(diamond, find_common, "skim", "plot", hub=1)
    assert (names(few["ancestors"]), sorted(names(few["hubs"]))) == ([], ["calib", "left", "raw"])


def test_common_ancestors_come_page_by_page_and_hold_one_of_the_two(diamond: Production) -> None:
    first = asked(diamond, find_common, "left", "plot", limit=1)
    second = asked(diamond, find_common, "left", "plot", limit=1, cursor=first["next"])

    assert names(first["ancestors"] + second["ancestors"]) == ["left", "raw"]
    assert second["next"] is None


def test_cycles_end_every_question(production: Production) -> None:
    production.record(
        a_record(1, inputs=[file_entry("b", 2)], outputs=[file_entry("a", 1)]),
        a_record(2, inputs=[file_entry("a", 1)], outputs=[file_entry("b", 2)]),
        a_record(3, inputs=[file_entry("self", 3)], outputs=[file_entry("self", 3)]),
    )

    assert [path["jobs"] for path in asked(production, find_paths, "a", "b")["paths"]] == [1]
    assert names(asked(production, find_common, "a", "b")["ancestors"]) == ["a", "b"]
    assert (
        asked(production, list_roots, "a")["count"]
        == asked(production, list_leaves, "a")["count"]
        == 0
    )
    assert names(asked(production, list_roots, "self")["files"]) == ["self"]
    assert asked(production, sum_costs, "a")["made"]["jobs"] == 2


@pytest.mark.parametrize(("direction", "near"), [("ancestors", "c"), ("descendants", "b")])
def test_direction_holds_in_a_circle_too(production: Production, direction: str, near: str) -> None:
    """What lies before a file of a circle lies behind it as well, at another distance."""
    circle = {"a": "c", "b": "a", "c": "b"}
    places = {name: place for place, name in enumerate(circle, 1)}
    production.record(
        *(
            a_record(
                places[name],
                inputs=[file_entry(source, places[source])],
                outputs=[file_entry(name, places[name])],
            )
            for name, source in circle.items()
        )
    )

    with production.database.reading.connect() as connection:
        for moment in (None, MOMENT):
            graph = trace_lineage(
                connection,
                "a",
                direction=direction,
                depth=1,
                filters=NodeFilters(kind="file"),
                as_of=moment,
            )
            assert sorted(node.name for node in graph.files()) == sorted(["a", near])


def took(wall: float, cpu: float) -> dict[str, float]:
    return {"wall_seconds": wall, "cpu_user_seconds": cpu}


def test_cost_sums_all_jobs_behind_a_file_and_failed_attempts_apart(production: Production) -> None:
    def task(stage: str, unit: str) -> dict[str, str]:
        return {"task_id": f"t-{stage}", "stage": stage, "unit": unit}

    production.record(
        a_record(
            1,
            outputs=[file_entry("raw", 1, size=100)],
            task=task("gen", "1"),
            resources=took(10, 8),
        ),
        a_record(
            2,
            inputs=[file_entry("raw", 1)],
            state="failed",
            task=task("reco", "raw"),
            resources=took(3, 2),
        ),
        a_record(
            3,
            inputs=[file_entry("raw", 1)],
            state="killed",
            task=task("reco", "other"),
            resources=took(50, 40),
        ),
        a_record(4, state="failed", resources=took(1, 1)),
        a_record(5, state="lost", retry_of=job_id(4)),
        a_record(
            6,
            inputs=[file_entry("raw", 1)],
            outputs=[file_entry("reco", 2, size=30), file_entry("hist", 3, size=5)],
            task=task("reco", "raw"),
            resources=took(20, 16),
            retry_of=job_id(5),
        ),
        a_record(7, inputs=[file_entry("reco", 2)], outputs=[file_entry("silent", 4)]),
    )

    cost = asked(production, sum_costs, "silent")

    assert cost["made"] == {
        "jobs": 3,
        "silent_jobs": 1,
        "wall_seconds": 30,
        "cpu_seconds": 24,
        "output_bytes": 135,
    }
    assert cost["failed"] == {
        "jobs": 3,
        "silent_jobs": 1,
        "wall_seconds": 4,
        "cpu_seconds": 3,
        "output_bytes": None,
    }
    assert [
        (row["stage"], row["made"]["jobs"], row["failed"]["jobs"]) for row in cost["stages"]
    ] == [
        ("reco", 1, 1),
        ("gen", 1, 0),
        (None, 1, 2),
    ]


def test_cost_of_the_past_has_no_attempt_that_was_recorded_later(production: Production) -> None:
    unit = {"task_id": "t", "unit": "u"}
    production.record(
        a_record(1, state="failed", task=unit, resources=took(1, 1)),
        a_record(
            2, outputs=[file_entry("raw", 1)], task=unit, retry_of=job_id(3), resources=took(10, 10)
        ),
    )
    later = MOMENT + timedelta(hours=1)
    production.record(a_record(3, state="killed", resources=took(5, 5)), received_at=later)
    production.record(
        a_record(4, state="failed", task=unit, resources=took(7, 7)), received_at=later
    )

    then, now = (
        asked(production, sum_costs, "raw", as_of=moment)["failed"] for moment in (MOMENT, later)
    )

    assert (then["jobs"], then["wall_seconds"]) == (1, 1)
    assert (now["jobs"], now["wall_seconds"]) == (3, 13)


def test_cost_takes_no_attempt_of_another_experiment_whose_job_has_the_same_id(
    production: Production,
) -> None:
    production.record(
        a_record(1, state="failed", resources=took(1, 1)),
        a_record(1, state="failed", resources=took(50, 50), experiment="dune"),
        a_record(2, outputs=[file_entry("raw", 1)], retry_of=job_id(1)),
    )

    failed = asked(production, sum_costs, "raw")["failed"]

    assert (failed["jobs"], failed["wall_seconds"]) == (1, 1)


def test_cost_is_told_by_the_declared_stage_of_a_task_where_a_job_names_none(
    production: Production,
) -> None:
    """Lists and filters of jobs do the same: a job's own stage goes first."""
    production.record(
        a_record(1, outputs=[file_entry("raw", 1)], task={"stage": "daq"}),
        a_record(
            2,
            inputs=[file_entry("raw", 1)],
            outputs=[file_entry("made", 2)],
            task={"task_id": "t", "stage": "step2"},
        ),
        a_record(
            3,
            inputs=[file_entry("made", 2)],
            outputs=[file_entry("last", 3)],
            task={"task_id": "t"},
        ),
    )
    declaration = {"experiment": "nova", "stage": "reco"}
    production.write(lambda writing: declare_task(writing, "t", declaration), received_at=MOMENT)

    stages = asked(production, sum_costs, "last")["stages"]

    assert sorted(row["stage"] for row in stages) == ["daq", "reco", "step2"]


def test_orphans_are_files_that_nobody_made(diamond: Production) -> None:
    diamond.record(
        a_record(
            20,
            state="failed",
            inputs=[file_entry("lonely", 20)],
            outputs=[file_entry("broken", 21)],
        )
    )

    found = asked(diamond, list_orphans)
    rows = {row["name"]: row["is_isolated"] for row in found["files"]}
    assert rows == {"calib": True, "extern": False, "lonely": False, "broken": True}
    assert found["next"] is None
    assert sorted(names(asked(diamond, list_orphans, isolated=True)["files"])) == [
        "broken",
        "calib",
    ]
    assert names(asked(diamond, list_orphans, unread=True)["files"]) == ["broken"]
    assert asked(diamond, list_orphans, experiment="dune")["files"] == []


def test_what_only_its_failed_job_read_is_no_version(production: Production) -> None:
    """A later step reads what an earlier one wrote, and the job fails: nothing was made of that.

    Another job may have got hold of it.
    """
    steps = {"steps": [{"name": "one", "argv": ["a"]}, {"name": "two", "argv": ["b"]}]}
    production.record(
        a_record(1, inputs=[file_entry("between", 1, step="two")], outputs=[file_entry("between", 1, step="one")],
            command=steps, state="failed"),
    )  # fmt: skip
    assert asked(production, show_file, "between")["versions"] == []
    assert names(asked(production, list_orphans)["files"]) == ["between"]

    production.record(a_record(2, inputs=[file_entry("between", 1)]))
    assert [row["job"]["state"] for row in asked(production, show_file, "between")["versions"]] == [
        "failed"
    ]
    assert asked(production, list_orphans)["files"] == []


def test_orphans_say_who_used_them(diamond: Production, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shared inputs are no parents: nothing was made of them.

    Yet jobs read them, under whatever checksum.
    """
    diamond.record(
        a_record(
            20,
            state="failed",
            inputs=[file_entry("lonely", 20)],
            outputs=[file_entry("broken", 21)],
        ),
        a_record(21, state="failed", inputs=[file_entry("unhappy", 22)]),
        a_record(
            22,
            inputs=[file_entry("calib", 91, role="configuration")],
            outputs=[file_entry("late", 23)],
        ),
    )

    def uses() -> dict[str, str]:
        with diamond.database.reading.connect() as connection:
            return {file.name: orphan_use(file) for file in list_orphans(connection).files}

    assert uses() == {
        "calib": "read by 3 jobs, as shared input",
        "extern": "files were made from it",
        "lonely": "files were made from it",
        "broken": "no job read it",
        "unhappy": "read by 1 job",
    }
    monkeypatch.setattr("jobprov.provenance.services.histories.sentences.MOST_READERS", 2)
    assert uses()["calib"] == "read by 3 jobs or more, as shared input"
    diamond.record(
        a_record(23, inputs=[file_entry("calib", 90)], outputs=[file_entry("later", 24)])
    )
    assert uses()["calib"] == "files were made from it"


def test_orphans_come_page_by_page(production: Production, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where so few files are looked through at once that pages are empty."""
    monkeypatch.setattr("jobprov.provenance.db.queries.lookup.lists.files._MOST_LOOKED_AT", 2)
    production.record(
        *chain("a", "b", "c", "d", "e"),
        a_record(9, inputs=[file_entry("x", 9), file_entry("y", 10)]),
    )

    listed, cursor, pages = [], None, 0
    while pages == 0 or cursor is not None:
        page = asked(production, list_orphans, limit=1, cursor=cursor)
        listed += names(page["files"])
        cursor, pages = page["next"], pages + 1
    assert listed == ["x", "y"]
    assert pages > 2


def test_possible_links_are_told_as_possible_in_whole_histories(production: Production) -> None:
    """The driver of SQLite gives truth values of a text as integers.

    These are neither True nor False.
    """
    production.record(
        a_record(1, outputs=[file_entry("a")]),
        a_record(2, outputs=[file_entry("a", size=5)]),
        a_record(
            3,
            inputs=[file_entry("a", size=5), file_entry("calib", role="shared")],
            outputs=[file_entry("b")],
        ),
        a_record(4, outputs=[file_entry("calib")]),
    )

    with production.database.reading.connect() as connection:
        for how in ({}, {"as_of": MOMENT}, {"filters": NodeFilters(role="primary")}):
            graph = trace_lineage(connection, "b", direction="ancestors", **how)
            sure = {edge.is_sure for edge in graph.inner_edges() if edge.source[0] != "j"}
            assert sure == {False}, how
    assert [path["is_sure"] for path in asked(production, find_paths, "a", "b")["paths"]] == [
        False,
        False,
    ]


def test_input_of_the_name_of_an_output_was_made_before_it(production: Production) -> None:
    """A job's output never satisfies its own input: nobody is known to have made what it read."""
    production.record(
        a_record(1, inputs=[file_entry("m")], outputs=[file_entry("m"), file_entry("n")]),
        a_record(2, inputs=[file_entry("m")], outputs=[file_entry("q")]),
        a_record(3, inputs=[file_entry("n"), file_entry("q")], outputs=[file_entry("last")]),
    )

    up = asked(production, list_ancestors, "last")["files"]
    assert [(row["name"], row["job_id"]) for row in up] == [
        ("m", None), ("m", job_id(1)), ("n", job_id(1)), ("q", job_id(2)),
    ]  # fmt: skip
    assert [
        (row["name"], row["job_id"]) for row in asked(production, list_ancestors, "m")["files"]
    ] == [("m", None)]
    roots = asked(production, list_roots, "n")
    assert [(row["name"], row["is_placeholder"]) for row in roots["files"]] == [("m", True)]
    with production.database.reading.connect() as connection:
        drawn, whole = (
            trace_lineage(connection, "last", direction="ancestors", as_of=at)
            for at in (None, MOMENT)
        )
        assert [parent.name for parent in show_file(connection, "m").parents] == ["m"]
        assert [parent.job_id for parent in show_file(connection, "n").parents] == [None]
    assert {node.key for node in drawn.nodes} == {node.key for node in whole.nodes}
    assert sorted(file.name for file in drawn.files() if file.is_placeholder) == ["m"]
    below = asked(production, list_descendants, "m", version=1)["files"]
    assert names(below) == ["last", "q"]


def test_what_is_read_under_another_name_came_of_the_file(production: Production) -> None:
    production.record(a_record(1, outputs=[file_entry("birth", 10, 3)]))
    renamed = file_entry(
        "renamed",
        10,
        3,
        experiment="nova",
        metadata={"prov.job_id": job_id(1), "prov.output": "birth"},
    )
    production.write(lambda writing: record_sighting(writing, renamed), received_at=MOMENT)
    production.record(
        a_record(2, inputs=[file_entry("renamed", 10, 3)], outputs=[file_entry("kid")])
    )

    for name in ("birth", "renamed"):
        assert names(asked(production, list_descendants, name)["files"]) == ["kid"]
        assert names(asked(production, list_leaves, name)["files"]) == ["kid"]
        with production.database.reading.connect() as connection:
            for moment in (None, MOMENT):
                graph = trace_lineage(connection, name, as_of=moment)
                assert sorted(node.name for node in graph.files()) == sorted([name, "kid"])
            assert [child.name for child in show_file(connection, name).children] == ["kid"]
        assert asked(production, find_paths, name, "kid")["older"] == "a"
        assert names(asked(production, find_common, "kid", name)["ancestors"]) == ["renamed"]
        plan = asked(production, plan_rebuild, production.store, "kid", lost=[name])
        assert [step["job_id"] for step in plan["jobs"]] == [job_id(1), job_id(2)]


def test_what_came_of_a_name_came_of_any_of_its_versions_and_contents(
    production: Production,
) -> None:
    production.record(
        a_record(1, outputs=[file_entry("x", 1)]),
        a_record(2, inputs=[file_entry("x", 2)], outputs=[file_entry("y")]),
        a_record(3, outputs=[file_entry("v", 3)]),
        a_record(4, outputs=[file_entry("v", 4)]),
        a_record(5, inputs=[file_entry("v", 3)], outputs=[file_entry("w1")]),
        a_record(6, inputs=[file_entry("v", 4)], outputs=[file_entry("w2")]),
    )

    for name, expected in (("x", ["y"]), ("v", ["w1", "w2"])):
        below = asked(production, list_descendants, name)
        assert (names(below["files"]), below["version"]) == (expected, None)
        assert sorted(names(asked(production, list_leaves, name)["files"])) == expected
        with production.database.reading.connect() as connection:
            assert [child.name for child in show_file(connection, name).children] == expected
    assert asked(production, find_paths, "x", "y")["older"] == "a"
    assert (
        asked(production, find_common, "x", "y")["count"]
        == asked(production, find_common, "y", "x")["count"]
        == 1
    )
    first = asked(production, list_leaves, "v", version=1)
    assert (names(first["files"]), first["version"], first["versions"]) == (["w1"], 1, 2)
    assert names(asked(production, list_descendants, "v", version=2)["files"]) == ["w2"]
    assert [
        asked(production, question, "v")["version"]
        for question in (list_roots, sum_costs, list_ancestors)
    ] == [2] * 3
    assert asked(production, sum_costs, "v", version=1)["version"] == 1


def test_version_that_is_none_is_refused_with_those_that_are(production: Production) -> None:
    production.record(
        a_record(1, outputs=[file_entry("v", 1)]), a_record(2, outputs=[file_entry("v", 2)])
    )

    for question in (trace_lineage, list_ancestors, list_roots, list_leaves, sum_costs):
        with pytest.raises(
            BadInputError, match="version: there is no version 99; known: 1, 2"
        ) as refused:
            asked(production, question, "v", version=99)
        assert list(refused.value.fields) == ["version"]


def test_leaves_are_not_lost_to_jobs_that_only_share_them(production: Production) -> None:
    production.record(
        a_record(1, inputs=[file_entry("s")], outputs=[file_entry("k")]),
        a_record(
            2, inputs=[file_entry("s"), file_entry("k", role="shared")], outputs=[file_entry("e")]
        ),
        a_record(
            3, inputs=[file_entry("z"), file_entry("t", role="shared")], outputs=[file_entry("t")]
        ),
    )

    assert sorted(names(asked(production, list_leaves, "s")["files"])) == ["e", "k"]
    assert names(asked(production, list_leaves, "z")["files"]) == ["t"]


def test_shared_input_that_is_declared_as_a_parent_is_one(production: Production) -> None:
    production.record(
        a_record(
            1, inputs=[file_entry("cal", role="shared")], outputs=[file_entry("o", parents=["cal"])]
        )
    )

    assert names(asked(production, list_roots, "o")["files"]) == ["cal"]
    assert names(asked(production, list_leaves, "cal")["files"]) == ["o"]


def test_common_ancestors_do_not_depend_on_which_file_is_named_first(
    production: Production,
) -> None:
    production.record(
        a_record(1, outputs=[file_entry("cal")]),
        a_record(2, inputs=[file_entry("cal")], outputs=[file_entry("a")]),
        a_record(3, inputs=[file_entry("cal", role="shared")], outputs=[file_entry("b")]),
    )

    for pair in (("a", "b"), ("b", "a")):
        found = asked(production, find_common, *pair)
        assert (names(found["ancestors"]), names(found["hubs"])) == ([], ["cal"])


def test_jobs_that_were_recorded_later_make_no_hub_of_what_was_read_before(
    production: Production,
) -> None:
    later = MOMENT + timedelta(hours=1)
    read = [file_entry("cal", 1)]
    production.record(
        a_record(1, outputs=read),
        *(
            a_record(number, inputs=read, outputs=[file_entry(f"o{number}", number)])
            for number in (2, 3)
        ),
    )
    production.record(*(a_record(number, inputs=read) for number in (4, 5)), received_at=later)

    then, now = (
        asked(production, find_common, "o2", "o3", hub=2, as_of=moment)
        for moment in (MOMENT, later)
    )

    assert (names(then["ancestors"]), names(then["hubs"])) == (["cal"], [])
    assert (names(now["ancestors"]), names(now["hubs"])) == ([], ["cal"])


def test_nearest_common_ancestors_are_so_through_hubs(production: Production) -> None:
    production.record(
        *chain("g", "h"),
        *(
            a_record(n, inputs=[file_entry("h", 2)], outputs=[file_entry(f"k{n}")])
            for n in range(3, 6)
        ),
        a_record(6, inputs=[file_entry("k3")], outputs=[file_entry("a")]),
        a_record(7, inputs=[file_entry("k3")], outputs=[file_entry("b")]),
    )

    found = asked(production, find_common, "a", "b", hub=2)
    assert [(row["name"], row["is_nearest"]) for row in found["ancestors"]] == [
        ("k3", True),
        ("g", False),
    ]
    assert names(found["hubs"]) == ["h"]


def test_job_that_reads_a_file_in_two_steps_is_one_reader(production: Production) -> None:
    steps = {"steps": [{"name": "s1"}, {"name": "s2"}]}
    production.record(
        a_record(1, outputs=[file_entry("p")]),
        a_record(
            2,
            command=steps,
            inputs=[file_entry("p", step="s1"), file_entry("p", step="s2")],
            outputs=[file_entry("a", step="s1"), file_entry("b", step="s2")],
        ),
    )

    assert names(asked(production, find_common, "a", "b", hub=1)["ancestors"]) == ["p"]
    with production.database.reading.connect() as connection:
        shown = show_file(connection, "p")
    assert (shown.consumer_count, len(shown.consumers)) == (1, 1)


@pytest.fixture
def stepwise(production: Production) -> Production:
    """One job makes left of raw and, in another step, right of dust and again of nothing.

    The next merges all; a third reads raw alone.
    """
    steps = [{"name": name, "argv": [name]} for name in ("one", "two", "three")]
    files = {"inputs": [file_entry("raw", 1, step="one"), file_entry("dust", 2, step="two")]}
    files["outputs"] = [
        file_entry("left", 3, step="one"), file_entry("right", 4, step="two"), file_entry("new", 5, step="three")
    ]  # fmt: skip
    production.record(
        a_record(1, command={"steps": steps}, **files),
        a_record(
            2,
            inputs=[file_entry("left", 3), file_entry("right", 4), file_entry("new", 5)],
            outputs=[file_entry("merged")],
        ),
        a_record(3, inputs=[file_entry("raw", 1)], outputs=[file_entry("dust", 2)]),
    )
    return production


def test_outputs_of_one_job_come_of_their_own_inputs(stepwise: Production) -> None:
    """Links were those of the job: whatever it read, all that it wrote came of."""

    def ways(first: str, second: str) -> list[list[str]]:
        paths = asked(stepwise, find_paths, first, second)["paths"]
        return [names([node for node in path["nodes"] if node["kind"] == "file"]) for path in paths]

    assert sorted(names(asked(stepwise, list_roots, "merged")["files"])) == ["new", "raw"]
    assert names(asked(stepwise, list_roots, "new")["files"]) == ["new"]
    assert ways("raw", "merged") == [["raw", "left", "merged"], ["raw", "dust", "right", "merged"]]
    assert ways("dust", "merged") == [["dust", "right", "merged"]]
    common = asked(stepwise, find_common, "left", "right")["ancestors"]
    assert [(row["name"], row["jobs_to_a"], row["jobs_to_b"]) for row in common] == [("raw", 1, 2)]
    assert asked(stepwise, sum_costs, "merged")["made"]["jobs"] == 3
    for moment in (None, MOMENT):
        with stepwise.database.reading.connect() as connection:
            graph = trace_lineage(
                connection, "merged", filters=NodeFilters(kind="file"), as_of=moment
            )
        name = {node.key: node.name for node in graph.files()}
        assert {(name[edge.source], name[edge.target]) for edge in graph.edges} == {
            ("raw", "left"), ("raw", "dust"), ("dust", "right"),
            ("left", "merged"), ("right", "merged"), ("new", "merged"),
        }  # fmt: skip


def test_job_of_very_many_shared_inputs_and_outputs_is_one_part() -> None:
    """Each with each would be as many links as their product."""
    history = History("c0")
    for number in range(600):
        history.join(f"f{number}", "j1", role="shared", is_parent=False)
        history.join(f"f{1000 + number}", "j1")
        history.join("j1", f"c{number}")
        history.sources[f"c{number}"] = {f"f{1000 + number}"}

    assert history.flow.parts("j1") == ["j1"]
    assert len(history.distances_before()) == 1 + 1 + 1200


def test_rows_of_ancestors_tell_experiments_apart(production: Production) -> None:
    inputs = [file_entry("z"), file_entry("z", experiment="dune")]
    production.record(a_record(1, inputs=inputs, outputs=[file_entry("o")]))

    found = asked(production, list_ancestors, "o")
    assert (found["count"], [row["experiment"] for row in found["files"]]) == (2, ["dune", "nova"])


def test_name_that_a_correction_took_back_is_no_orphan(production: Production) -> None:
    made = {"outputs": [file_entry("made", 2)]}
    production.record(a_record(1, inputs=[file_entry("mistyped", 1)], **made))
    assert names(asked(production, list_orphans)["files"]) == ["mistyped"]

    production.record(a_record(1, inputs=[file_entry("right", 1)], **made), reason="a slip")

    assert names(asked(production, list_orphans)["files"]) == ["right"]


def test_name_that_a_correction_took_back_is_no_file(production: Production) -> None:
    """Its row stays: what many jobs share is not counted again at each record."""
    slip, read = file_entry("mistyped.root", 1), file_entry("mistyped.txt", 3)
    production.record(
        a_record(1, outputs=[slip]),
        a_record(2, inputs=[read]),
        a_record(3, outputs=[file_entry("other", parents=[])]),
    )
    assert asked(production, show_file, "mistyped.root")["file"]["name"] == "mistyped.root"

    production.record(a_record(1, outputs=[file_entry("right.root", 1)]), reason="a slip")

    for question in (show_file, list_roots, list_ancestors):
        with pytest.raises(NotFoundError) as raised:
            asked(production, question, "mistyped.root")
        assert raised.value.nearest == ["mistyped.txt"]
    with production.database.reading.connect() as connection:
        assert [hit.text for hit in search(connection, "mistyped").hits] == ["mistyped.txt"]
        listed = list_files(connection, FileFilters()).files
    assert [file.name for file in listed] == ["mistyped.txt", "other", "right.root"]
    production.record(a_record(4, inputs=[slip]))
    assert asked(production, show_file, "mistyped.root")["file"]["name"] == "mistyped.root"


def test_declared_parent_is_the_input_that_is_called_so_wherever_the_colons_are(
    production: Production,
) -> None:
    read = [file_entry("a:b", 1, namespace="n"), file_entry("c", 2, namespace="s3:%2F%2Fh:80")]
    made = file_entry("made", 3, parents=["n:a:b", "s3:%2F%2Fh:80:c"])
    production.record(a_record(1, inputs=read, outputs=[made]))

    assert names(asked(production, list_roots, "made")["files"]) == ["a:b", "c"]
