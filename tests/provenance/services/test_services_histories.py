"""Ends, paths, common ancestors, costs and orphans, on both databases: counted by hand on small productions."""

from typing import Any

import pytest
from production_samples import Production, chain, file_entry, job, job_id

from provenance.errors import BadInputError, NotFoundError
from provenance.services import relate_files
from provenance.services.list_ends import list_leaves, list_orphans, list_roots
from provenance.services.relate_files import find_common, find_paths
from provenance.services.sum_costs import sum_costs


def asked(production: Production, question: Any, *names: str, **how: Any) -> dict[str, Any]:
    with production.database.reading.connect() as connection:
        answer: dict[str, Any] = question(connection, *names, **how)
        return answer


def names(rows: list[dict[str, Any]]) -> list[str]:
    return [row["name"] for row in rows]


@pytest.fixture
def diamond(production: Production) -> Production:
    """One raw file, two ways to merged, one of them with a stop more; a shared calib; a plot, and a skim of the left way."""
    shared = file_entry("calib", 90, role="shared")
    production.record(
        job(1, outputs=[file_entry("raw", 1)]),
        job(2, inputs=[file_entry("raw", 1), shared], outputs=[file_entry("left", 2)]),
        job(3, inputs=[file_entry("raw", 1), shared], outputs=[file_entry("mid", 3)]),
        job(4, inputs=[file_entry("mid", 3), file_entry("extern", 4)], outputs=[file_entry("right", 5)]),
        job(5, inputs=[file_entry("left", 2), file_entry("right", 5)], outputs=[file_entry("merged", 6)]),
        job(6, inputs=[file_entry("merged", 6)], outputs=[file_entry("plot", 7)]),
        job(7, inputs=[file_entry("left", 2)], outputs=[file_entry("skim", 8)]),
        job(8, inputs=[file_entry("merged", 6)], state="failed"),
    )
    return production


def test_roots_and_leaves_are_where_a_history_ends(diamond: Production) -> None:
    roots = asked(diamond, list_roots, "plot")
    assert (sorted(names(roots["files"])), roots["count"]) == (["extern", "raw"], 2)
    assert [file["is_placeholder"] for file in roots["files"]] == [False, True]
    assert sorted(names(asked(diamond, list_leaves, "raw")["files"])) == ["plot", "skim"]
    assert names(asked(diamond, list_leaves, "plot")["files"]) == ["plot"]
    assert names(asked(diamond, list_roots, "calib")["files"]) == ["calib"]


def test_ends_come_page_by_page(diamond: Production) -> None:
    first = asked(diamond, list_leaves, "raw", limit=1)
    second = asked(diamond, list_leaves, "raw", limit=1, cursor=first["next"])

    assert sorted(names(first["files"] + second["files"])) == ["plot", "skim"]
    assert second["next"] is None
    with pytest.raises(BadInputError, match="limit"):
        asked(diamond, list_leaves, "raw", limit=0)


def test_paths_go_from_the_older_file_to_the_younger_shortest_first(diamond: Production) -> None:
    for first, second, older in (("raw", "plot", "a"), ("plot", "raw", "b")):
        found = asked(diamond, find_paths, first, second)
        assert (found["older"], [path["jobs"] for path in found["paths"]]) == (older, [3, 4])
        files = [[node["name"] for node in path["nodes"] if node["kind"] == "file"] for path in found["paths"]]
        assert files == [["raw", "left", "merged", "plot"], ["raw", "mid", "right", "merged", "plot"]]
        assert all(path["is_sure"] for path in found["paths"])


def test_paths_of_files_that_have_none_are_none(diamond: Production) -> None:
    found = asked(diamond, find_paths, "skim", "plot")
    assert (found["older"], found["paths"], found["is_truncated"]) == (None, [], False)
    assert asked(diamond, find_paths, "raw", "raw")["paths"] == []
    with pytest.raises(NotFoundError):
        asked(diamond, find_paths, "raw", "unheard of")


def test_path_from_a_shared_input_says_so(diamond: Production) -> None:
    [shortest, *_] = asked(diamond, find_paths, "calib", "left")["paths"]
    assert names([node for node in shortest["nodes"] if node["kind"] == "file"]) == ["calib", "left"]


def ladder(steps: int) -> list[dict[str, Any]]:
    """Return jobs of which the last file has two to the power of `steps` ways from the first."""
    records = [job(1, outputs=[file_entry("m0", 10)])]
    for step in range(steps):
        sides = [file_entry(f"{side}{step}", 1000 + 10 * step + n) for n, side in enumerate("lr")]
        for n, side in enumerate(sides):
            records.append(job(10 * step + 11 + n, inputs=[file_entry(f"m{step}", 10 + step)], outputs=[side]))
        records.append(job(10 * step + 15, inputs=sides, outputs=[file_entry(f"m{step + 1}", 11 + step)]))
    return records


def test_paths_are_so_many_at_most_however_many_there_are(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    production.record(*ladder(20))

    found = asked(production, find_paths, "m0", "m20", limit=7)
    assert ([path["jobs"] for path in found["paths"]], found["is_truncated"]) == ([40] * 7, True)
    monkeypatch.setattr(relate_files, "MOST_STEPS", 50)
    assert asked(production, find_paths, "m0", "m20", limit=100)["is_truncated"]


def test_common_ancestors_come_nearest_first_without_hubs(diamond: Production) -> None:
    found = asked(diamond, find_common, "skim", "plot")

    assert [(row["name"], row["is_nearest"], row["jobs_to_a"], row["jobs_to_b"]) for row in found["ancestors"]] == [
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
        job(1, inputs=[file_entry("b", 2)], outputs=[file_entry("a", 1)]),
        job(2, inputs=[file_entry("a", 1)], outputs=[file_entry("b", 2)]),
        job(3, inputs=[file_entry("self", 3)], outputs=[file_entry("self", 3)]),
    )

    assert [path["jobs"] for path in asked(production, find_paths, "a", "b")["paths"]] == [1]
    assert names(asked(production, find_common, "a", "b")["ancestors"]) == ["a", "b"]
    assert asked(production, list_roots, "a")["count"] == asked(production, list_leaves, "a")["count"] == 0
    assert names(asked(production, list_roots, "self")["files"]) == ["self"]
    assert asked(production, sum_costs, "a")["made"]["jobs"] == 2


def took(wall: float, cpu: float) -> dict[str, float]:
    return {"wall_seconds": wall, "cpu_user_seconds": cpu}


def test_cost_sums_all_jobs_behind_a_file_and_failed_attempts_apart(production: Production) -> None:
    def task(stage: str, unit: str) -> dict[str, str]:
        return {"task_id": f"t-{stage}", "stage": stage, "unit": unit}

    production.record(
        job(1, outputs=[file_entry("raw", 1, size=100)], task=task("gen", "1"), resources=took(10, 8)),
        job(2, inputs=[file_entry("raw", 1)], state="failed", task=task("reco", "raw"), resources=took(3, 2)),
        job(3, inputs=[file_entry("raw", 1)], state="killed", task=task("reco", "other"), resources=took(50, 40)),
        job(4, state="failed", resources=took(1, 1)),
        job(5, state="lost", retry_of=job_id(4)),
        job(
            6,
            inputs=[file_entry("raw", 1)],
            outputs=[file_entry("reco", 2, size=30), file_entry("hist", 3, size=5)],
            task=task("reco", "raw"),
            resources=took(20, 16),
            retry_of=job_id(5),
        ),
        job(7, inputs=[file_entry("reco", 2)], outputs=[file_entry("silent", 4)]),
    )

    cost = asked(production, sum_costs, "silent")

    assert cost["made"] == {"jobs": 3, "silent_jobs": 1, "wall_seconds": 30, "cpu_seconds": 24, "output_bytes": 135}
    assert cost["failed"] == {"jobs": 3, "silent_jobs": 1, "wall_seconds": 4, "cpu_seconds": 3, "output_bytes": None}
    assert [(row["stage"], row["made"]["jobs"], row["failed"]["jobs"]) for row in cost["stages"]] == [
        ("reco", 1, 1),
        ("gen", 1, 0),
        (None, 1, 2),
    ]


def test_orphans_are_files_that_nobody_made(diamond: Production) -> None:
    diamond.record(job(20, state="failed", inputs=[file_entry("lonely", 20)], outputs=[file_entry("broken", 21)]))

    found = asked(diamond, list_orphans)
    rows = {row["name"]: row["is_isolated"] for row in found["files"]}
    assert rows == {"calib": True, "extern": False, "lonely": False, "broken": True}
    assert found["next"] is None
    assert sorted(names(asked(diamond, list_orphans, isolated=True)["files"])) == ["broken", "calib"]
    assert asked(diamond, list_orphans, experiment="dune")["files"] == []


def test_orphans_come_page_by_page(production: Production, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where so few files are looked through at once that pages are empty."""
    monkeypatch.setattr("provenance.db.queries.file_lists._MOST_LOOKED_AT", 2)
    production.record(*chain("a", "b", "c", "d", "e"), job(9, inputs=[file_entry("x", 9), file_entry("y", 10)]))

    listed, cursor, pages = [], None, 0
    while pages == 0 or cursor is not None:
        page = asked(production, list_orphans, limit=1, cursor=cursor)
        listed += names(page["files"])
        cursor, pages = page["next"], pages + 1
    assert listed == ["x", "y"]
    assert pages > 2


def test_declared_parent_is_the_input_that_is_called_so_wherever_the_colons_are(production: Production) -> None:
    read = [file_entry("a:b", 1, namespace="n"), file_entry("c", 2, namespace="s3:%2F%2Fh:80")]
    made = file_entry("made", 3, parents=["n:a:b", "s3:%2F%2Fh:80:c"])
    production.record(job(1, inputs=read, outputs=[made]))

    assert names(asked(production, list_roots, "made")["files"]) == ["a:b", "c"]


def test_name_that_a_correction_took_back_is_no_orphan(production: Production) -> None:
    made = {"outputs": [file_entry("made", 2)]}
    production.record(job(1, inputs=[file_entry("mistyped", 1)], **made))
    assert names(asked(production, list_orphans)["files"]) == ["mistyped"]

    production.record(job(1, inputs=[file_entry("right", 1)], **made), reason="a slip")

    assert names(asked(production, list_orphans)["files"]) == ["right"]
