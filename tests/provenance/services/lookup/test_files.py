"""Lists of files by name."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, select, text

from jobprov.app.commands.lookup.file import file_text
from jobprov.provenance.answers.lookup.files import ReadContent
from jobprov.provenance.db.queries.lookup.files.by_name import MOST_MAKERS
from jobprov.provenance.db.queries.lookup.files.focus import identities_of_crowd
from jobprov.provenance.db.queries.lookup.files.versions import (
    MOST_VERSIONS,
    Version,
    versions_of,
)
from jobprov.provenance.db.queries.lookup.lists.few_jobs import keys_of
from jobprov.provenance.db.queries.lookup.lists.files import FileFilters
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.db.tables import File
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.lineage.graph import JobNode
from jobprov.provenance.lineage.sentences import summary
from jobprov.provenance.services.histories.impact import find_impact, stream_impact
from jobprov.provenance.services.histories.lineage import trace_lineage
from jobprov.provenance.services.lookup import file as file_service
from jobprov.provenance.services.lookup.file import show_file
from jobprov.provenance.services.lookup.files import list_files
from jobprov.provenance.services.lookup.named_filters import name_file
from tests.library.databases import on_sqlite_alone
from tests.library.production import Production
from tests.library.records import a_record, file_entry, job_id

NAMES = ("A1.root", "a%.root", "a1.root", "a2.root", "a[1].root", "ab1.root", "b1.root", "ä1.root")


@pytest.fixture
def filled(production: Production) -> Production:
    production.record(
        *[
            a_record(
                place,
                inputs=[file_entry("raw.root")],
                outputs=[file_entry(name, place, place, data_tier="reco" if place % 2 else "sim")],
                task={"task_id": f"t{place % 3}", "unit": name},
            )
            for place, name in enumerate(NAMES)
        ],
        a_record(
            50,
            experiment="dune",
            outputs=[file_entry("a1.root", 9, namespace="user")],
            state="failed",
        ),
    )
    return production


def listed(filled: Production, **filters: Any) -> list[str]:
    with filled.database.reading.connect() as connection:
        return [row.name for row in list_files(connection, FileFilters(**filters)).files]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a1.root", ["a1.root", "a1.root"]),
        ("a*", ["a%.root", "a1.root", "a1.root", "a2.root", "a[1].root", "ab1.root"]),
        ("a?.root", ["a%.root", "a1.root", "a1.root", "a2.root"]),
        ("a%.root", ["a%.root"]),
        ("a[1]*", ["a[1].root"]),
        ("*b1.root", ["ab1.root", "b1.root"]),
        ("?1.root", ["A1.root", "a1.root", "a1.root", "b1.root", "ä1.root"]),
        ("A*.root", ["A1.root"]),
        ("none*", []),
    ],
)
def test_star_and_question_mark_match_alike_on_both_databases(
    filled: Production, pattern: str, names: list[str]
) -> None:
    assert listed(filled, name=pattern) == names


def test_filters_narrow_the_list_together(filled: Production) -> None:
    assert listed(filled, experiment="dune") == ["a1.root"]
    assert listed(filled, namespace="user") == ["a1.root"]
    assert listed(filled, task_id="t1") == ["a%.root", "a[1].root", "ä1.root"]
    assert listed(filled, task_id="t1", data_tier="sim") == ["a[1].root"]
    assert listed(filled, data_tier="none") == []


def test_row_says_what_the_newest_version_is(filled: Production) -> None:
    filled.record(
        a_record(60, outputs=[file_entry("a1.root", 77, 5)], task={"task_id": "t9", "unit": "x"})
    )
    with filled.database.reading.connect() as connection:
        made, failed = list_files(connection, FileFilters(name="a1.root")).files
        [raw] = list_files(connection, FileFilters(name="raw.root")).files
    assert (made.version_count, made.size_bytes, made.checksums) == (
        2,
        5,
        ["adler32:0000004d"],
    )
    assert (made.job_id, made.task_id, made.url) == (
        job_id(60),
        "t9",
        "/files/a1.root?experiment=nova&namespace=",
    )
    assert (failed.is_placeholder, failed.job_id, failed.namespace) == (True, None, "user")
    assert (raw.is_placeholder, raw.version_count, raw.checksums) == (True, 0, [])


def test_pages_hold_every_file_once_in_the_order_of_names(filled: Production) -> None:
    found, cursor = [], None
    with filled.database.reading.connect() as connection:
        while True:
            page = list_files(connection, FileFilters(), limit=2, cursor=cursor)
            found += [(row.name, row.experiment) for row in page.files]
            cursor = page.next
            if cursor is None:
                break
    assert len(found) == len(set(found)) == len(NAMES) + 2
    assert [name for name, _ in found] == sorted([*NAMES, "a1.root", "raw.root"])


@on_sqlite_alone
@pytest.mark.parametrize("cursor", ["x", "é", "e30", "W10", "WyJhIiwgImIiLCAiYyJd", "!!!!", ""])
def test_cursor_that_no_list_gave_is_refused(filled: Production, cursor: str) -> None:
    with (
        filled.database.reading.connect() as connection,
        pytest.raises(BadInputError, match="cursor"),
    ):
        list_files(connection, FileFilters(), cursor=cursor)


def test_cursor_of_0_1_0_goes_on_where_its_page_ended(filled: Production) -> None:
    """That release wrote blanks into the JSON."""
    with filled.database.reading.connect() as connection:
        page = list_files(connection, FileFilters(), cursor="WyJhLnJvb3QiLCAiIiwgMV0")

    assert [row.name for row in page.files] == sorted(
        name for name in [*NAMES, "a1.root", "raw.root"] if name > "a.root"
    )


@on_sqlite_alone
@pytest.mark.parametrize("limit", [0, 1001])
def test_limit_out_of_bounds_is_refused(filled: Production, limit: int) -> None:
    with (
        filled.database.reading.connect() as connection,
        pytest.raises(BadInputError, match="limit"),
    ):
        list_files(connection, FileFilters(), limit=limit)


@pytest.mark.slow
def test_a_crowded_name_has_its_last_thousand_versions_and_takes_none_from_its_neighbours(
    production: Production,
) -> None:
    """A limit that all files of a page shared left some without the job that made them.

    Those stood behind `hist.root`.
    """
    count = MOST_VERSIONS + 200
    crowd = [
        a_record(number, outputs=[file_entry("hist.root", number)])
        for number in range(1, count + 1)
    ]
    tries = [
        a_record(5000 + number, state="failed", outputs=[file_entry("hist.root", 5)])
        for number in range(20)
    ]
    for start in range(0, count, 400):
        production.record(*crowd[start : start + 400])
    production.record(*tries, a_record(9999, outputs=[file_entry("other.root", 1)]))

    with production.database.reading.connect() as connection:
        hist, other = list_files(connection, FileFilters(), limit=2).files
        shown = show_file(connection, "hist.root")

    assert (hist.name, hist.version_count, hist.job_id) == (
        "hist.root",
        MOST_VERSIONS,
        job_id(count),
    )
    assert (other.name, other.version_count, other.job_id) == (
        "other.root",
        1,
        job_id(9999),
    )
    assert shown.producer.job_id == job_id(count)
    assert [shown.versions[place].job.job_id for place in (0, -1)] == [
        job_id(count),
        job_id(201),
    ]


def test_of_a_crowded_name_only_the_versions_that_count_tell_who_used_it(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The identities of a name that every hundredth job writes are not all looked at."""
    for number in (1, 2, 3):
        production.record(
            a_record(number, outputs=[file_entry("hist.root", number)]),
            a_record(
                10 + number,
                inputs=[file_entry("hist.root", number)],
                outputs=[file_entry(f"sum{number}.root", 10 + number)],
            ),
        )

    with production.database.reading.connect() as connection:
        alone = show_file(connection, "hist.root")
    production.write(
        lambda writing: writing.connection.execute(
            text("UPDATE files SET is_crowded = TRUE WHERE name = 'hist.root'")
        )
    )
    with production.database.reading.connect() as connection:
        crowded = show_file(connection, "hist.root")
        versions = versions_of(connection, [_key_of(connection, "hist.root")])
        (claims,) = versions.values()
        newest = identities_of_crowd(connection, [claims[-1].claim_id])
        monkeypatch.setattr(file_service, "versions_of", lambda *_: _last(versions))
        monkeypatch.setattr(file_service, "identities_of", None)  # must not read the whole name
        of_last = show_file(connection, "hist.root")

    assert msgspec.structs.replace(crowded, is_crowded=False) == alone
    assert (len(crowded.children), crowded.consumer_count) == (3, 3)
    assert list(newest.values()) == [True]
    assert [child.name for child in of_last.children] == ["sum3.root"]
    assert [consumer.job_id for consumer in of_last.consumers] == [job_id(13)]


def _key_of(connection: Connection, name: str) -> int:
    return connection.execute(select(File.id).where(File.name == name)).scalar_one()


def _last(versions: Mapping[int, Sequence[Version]]) -> dict[int, list[Version]]:
    """Return the newest version of each file alone."""
    return {file: [of_file[-1]] for file, of_file in versions.items()}


@pytest.mark.slow
def test_a_parent_that_very_many_jobs_made_takes_no_room_from_the_other_parents(
    production: Production,
) -> None:
    """An empty log is the same bytes whoever wrote it.

    A thousand makers of it were all that a page said of the parents.
    """
    makers = [a_record(number, outputs=[file_entry("empty.log", 1)]) for number in range(1, 1101)]
    for start in range(0, len(makers), 400):
        production.record(*makers[start : start + 400])
    read = [file_entry("empty.log", 1), file_entry("other.root", 2)]
    production.record(
        a_record(5000, outputs=read[1:]),
        a_record(5001, inputs=read, outputs=[file_entry("made.root", 3)]),
    )

    with production.database.reading.connect() as connection:
        parents = show_file(connection, "made.root").parents

    assert [row.job_id for row in parents if row.name == "other.root"] == [job_id(5000)]
    logs = [row.job_id for row in parents if row.name == "empty.log"]
    assert logs == [job_id(number) for number in range(1100 - MOST_MAKERS + 1, 1101)]


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_job_that_last_wrote_a_file_without_success_is_the_one_that_ended_last(
    production: Production, order: tuple[int, ...]
) -> None:
    """Whichever was recorded first."""
    ends = {1: "2026-01-01T05:00:00Z", 2: "2026-01-01T04:00:00Z"}
    for number in order:
        production.record(
            a_record(
                number, outputs=[file_entry("half.root", 1)], state="failed", ended_at=ends[number]
            )
        )

    with production.database.reading.connect() as connection:
        found = show_file(connection, "half.root")

    assert found.is_placeholder
    assert found.written_by.job_id == job_id(1)


def in_campaign(number: int, campaign: str, stage: str, **fields: Any) -> dict[str, Any]:
    """Return the record of a job of a campaign."""
    task = {"task_id": f"{campaign}-{stage}", "campaign": campaign, "stage": stage}
    return a_record(number, task=task, **fields)


@pytest.fixture
def two_campaigns(production: Production) -> Production:
    """Return two campaigns that use the same names, and read files by name alone.

    Of the outputs of the first, nobody said size or checksum.
    """
    bare = {"name": "gen_1.root"}
    production.record(
        in_campaign(1, "spring", "gen", inputs=[], outputs=[bare]),
        in_campaign(2, "spring", "reco", inputs=[bare], outputs=[{"name": "reco_1.root"}]),
        in_campaign(3, "autumn", "gen", inputs=[], outputs=[{**bare, "size_bytes": 7}]),
        in_campaign(4, "autumn", "reco", inputs=[bare], outputs=[{"name": "reco_1.root"}]),
        in_campaign(5, "autumn", "plot", inputs=[{"name": "reco_1.root"}], outputs=[]),
    )
    return production


@pytest.mark.parametrize(
    ("version", "maker", "parent_maker", "readers"),
    [(None, 4, 3, [5]), (2, 4, 3, [5]), (1, 2, 1, [])],
)
def test_files_of_one_name_in_two_campaigns_have_a_history_each(
    two_campaigns: Production,
    version: int | None,
    maker: int,
    parent_maker: int,
    readers: list[int],
) -> None:
    with two_campaigns.database.reading.connect() as connection:
        shown = show_file(connection, "reco_1.root", version=version)
        generated = show_file(connection, "gen_1.root", version=version)

    assert shown.producer is not None
    assert shown.producer.job_id == job_id(maker)
    assert [parent.job_id for parent in shown.parents] == [job_id(parent_maker)]
    assert [reader.job_id for reader in shown.consumers] == [job_id(number) for number in readers]
    assert [reader.job_id for reader in generated.consumers] == [job_id(maker)]
    assert [child.job_id for child in generated.children] == [job_id(maker)]


def test_version_that_is_not_there_is_refused(two_campaigns: Production) -> None:
    with (
        two_campaigns.database.reading.connect() as connection,
        pytest.raises(BadInputError, match="no version 3; the file has 2"),
    ):
        show_file(connection, "reco_1.root", version=3)


def test_walk_from_one_campaign_never_enters_the_other(two_campaigns: Production) -> None:
    with two_campaigns.database.reading.connect() as connection:
        graph = trace_lineage(connection, "reco_1.root", direction="both")

    jobs = {node.job_id for node in graph.nodes if isinstance(node, JobNode)}
    assert jobs == {job_id(3), job_id(4), job_id(5)}


def test_file_that_only_another_campaign_made_is_still_its_input(production: Production) -> None:
    raw = {"name": "raw_1.root"}
    production.record(
        in_campaign(1, "raw", "daq", inputs=[], outputs=[raw]),
        in_campaign(2, "reco", "reco", inputs=[raw], outputs=[{"name": "reco_1.root"}]),
    )
    with production.database.reading.connect() as connection:
        reco = show_file(connection, "reco_1.root")
    assert [parent.job_id for parent in reco.parents] == [job_id(1)]

    # It writes what it reads, under the same name: it read the file of the other campaign
    production.record(in_campaign(3, "skim", "skim", inputs=[raw], outputs=[raw]))
    with production.database.reading.connect() as connection:
        skim = show_file(connection, "raw_1.root")
    assert [parent.job_id for parent in skim.parents] == [job_id(1)]


@pytest.fixture
def replaced(production: Production) -> Production:
    """Record two jobs that read one content of a calibration, and one that read another."""
    production.record(
        *[
            a_record(
                number,
                inputs=[file_entry("calib.db", checksum, 10)],
                outputs=[file_entry(f"reco_{number}.root", number)],
            )
            for number, checksum in ((1, 0xA1), (2, 0xB2), (3, 0xB2))
        ]
    )
    return production


def test_contents_of_a_file_from_outside_are_told_apart(replaced: Production) -> None:
    with replaced.database.reading.connect() as connection:
        contents = show_file(connection, "calib.db").read_contents
        made = show_file(connection, "reco_1.root").read_contents

    assert contents == [
        ReadContent(size_bytes=10, checksums=["adler32:000000b2"], job_count=2),
        ReadContent(size_bytes=10, checksums=["adler32:000000a1"], job_count=1),
    ]
    assert made == []


def test_histories_say_that_they_join_different_contents_of_one_name(
    replaced: Production,
) -> None:
    replaced.record(
        a_record(
            4,
            inputs=[file_entry("reco_1.root", 1), file_entry("reco_2.root", 2)],
            outputs=[file_entry("merged.root", 4)],
        )
    )
    same = {"name": "same.db", "size_bytes": 3}
    for number, checksum in ((5, "adler32:0a"), (6, "adler32:0000000a"), (7, f"md5:{7:032x}")):
        replaced.record(a_record(number, inputs=[{**same, "checksums": [checksum]}]))

    with replaced.database.reading.connect() as connection:
        upstream = trace_lineage(connection, "merged.root", direction="ancestors")
        of_one_content = trace_lineage(connection, "same.db", direction="descendants")
        whole = find_impact(connection, JobFilters(reads="calib.db"))
        of_one = find_impact(connection, JobFilters(reads="calib.db", checksum="adler32:000000a1"))
        unmixed = find_impact(connection, JobFilters(reads="same.db"))

    differing = {file.name for file in upstream.files() if file.contents_differ}
    assert differing == {"calib.db"}
    assert "Jobs read different contents as calib.db:" in summary(upstream)
    assert not any(file.contents_differ for file in of_one_content.files())
    assert [impact.contents_differ for impact in (whole, of_one, unmixed)] == [True, False, False]


@pytest.mark.parametrize(
    ("filters", "jobs"),
    [
        ({"reads": "calib.db"}, {1, 2, 3}),
        ({"reads": "calib.db", "checksum": "adler32:B2"}, {2, 3}),
        ({"file": "calib.db", "checksum": "adler32:000000a1"}, {1}),
        ({"file": "reco_3.root", "checksum": "adler32:00000003"}, {3}),
        ({"reads": "reco_3.root", "checksum": "adler32:00000003"}, set()),
    ],
)
def test_jobs_are_found_by_the_content_that_they_saw(
    replaced: Production, filters: dict[str, str], jobs: set[int]
) -> None:
    with replaced.database.reading.connect() as connection:
        named = name_file(connection, JobFilters(**filters))
        found = connection.execute(keys_of(connection, named)).scalars().all()

    assert set(found) == jobs


@pytest.mark.parametrize(
    ("checksum", "problem"),
    [("adler32:000000c3", "no record has the file with it"), ("b2", "at least 4 letters")],
)
def test_checksum_that_names_no_content_is_refused(
    replaced: Production, checksum: str, problem: str
) -> None:
    with (
        replaced.database.reading.connect() as connection,
        pytest.raises(BadInputError, match=problem),
    ):
        name_file(connection, JobFilters(reads="calib.db", checksum=checksum))


def test_checksum_of_no_file_is_refused(replaced: Production) -> None:
    with (
        replaced.database.reading.connect() as connection,
        pytest.raises(BadInputError, match="says of which file"),
    ):
        name_file(connection, JobFilters(checksum="adler32:000000b2"))


def test_versions_of_one_file_are_told_apart_among_relatives_and_in_an_impact(
    production: Production,
) -> None:
    """A file that was replaced stood twice in each list, as if it were listed twice."""
    production.record(
        a_record(1, inputs=[file_entry("raw")], outputs=[file_entry("reco", 1)]),
        a_record(2, inputs=[file_entry("raw")], outputs=[file_entry("reco", 2)]),
        a_record(3, inputs=[file_entry("raw")], outputs=[file_entry("log", 3)]),
        a_record(
            4,
            inputs=[file_entry("reco", 1), file_entry("reco", 2), file_entry("log", 3)],
            outputs=[file_entry("merged", 4)],
        ),
    )

    with production.database.reading.connect() as connection:
        raw, merged = (show_file(connection, name) for name in ("raw", "merged"))
        filters = JobFilters(reads="raw")
        impact = find_impact(connection, filters).files
        streamed = list(stream_impact(connection, filters))

    told_apart = [("log", None), ("reco", 1), ("reco", 2)]
    assert [(child.name, child.version) for child in raw.children] == told_apart
    assert [(parent.name, parent.version) for parent in merged.parents] == told_apart
    assert sorted(((file.name, file.version) for file in impact), key=str) == [
        told_apart[0],
        ("merged", None),
        *told_apart[1:],
    ]
    assert streamed == impact
    assert "(version 2)" in file_text(raw, None, "")
