"""Files that catalogs saw: joined to the job that made them, whichever came first."""

from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import func, select

from jobprov.provenance.answers.catalogs.sightings import SightingAnswer
from jobprov.provenance.answers.lookup.files import Consumer, FileAnswer
from jobprov.provenance.db.tables import Claim, LedgerEntry, Sighting
from jobprov.provenance.errors import AmbiguousError, BadInputError, NotFoundError
from jobprov.provenance.services.catalogs.sightings import read_sighting, record_sighting
from jobprov.provenance.services.histories.lineage_lists import list_ancestors, list_descendants
from jobprov.provenance.services.lookup.file import show_file
from tests.library.production import Production
from tests.library.records import MOMENT, a_record, digest, file_entry, job_id

BORN = a_record(
    1,
    inputs=[file_entry("raw.root", 1)],
    outputs=[file_entry("out.root", 2, 500, data_tier="reco")],
    task={"task_id": "t1", "unit": "raw.root"},
)


def see(
    production: Production,
    name: str,
    checksum: int | None = None,
    size: int | None = None,
    **more: Any,
) -> SightingAnswer:
    document = {"experiment": "nova", **file_entry(name, checksum, size), **more}
    return production.write(lambda writing: record_sighting(writing, document), received_at=MOMENT)


def shown(production: Production, name: str) -> FileAnswer:
    with production.database.reading.connect() as connection:
        return show_file(connection, name)


RENAMED = {"metadata": {"prov.task_id": "t1", "prov.job_id": job_id(1), "prov.output": "out.root"}}


@pytest.mark.parametrize("is_file_first", [True, False])
@pytest.mark.parametrize(
    "seen",
    [
        pytest.param({"checksum": 2, "size": 500, **RENAMED}, id="job and output"),
        pytest.param(
            {"checksum": 9, "size": 7, **RENAMED}, id="job and output though the bytes differ"
        ),
        pytest.param(
            {"checksum": 2, "metadata": {"prov.job_id": job_id(1)}}, id="job and checksum"
        ),
        pytest.param(
            {"checksum": 2, "size": 500, "metadata": {"prov.task_id": "t1"}},
            id="task, checksum and size",
        ),
    ],
)
def test_renamed_file_becomes_an_alias_in_either_order(
    production: Production, *, is_file_first: bool, seen: dict[str, Any]
) -> None:
    if is_file_first:
        assert see(production, "new.root", **seen).job_id is None
        production.record(BORN)
    else:
        production.record(BORN)
        answer = see(production, "new.root", **seen)
        assert (answer.job_id, answer.aliases) == (job_id(1), ["out.root"])
    page = shown(production, "new.root")
    assert page.producer.job_id == job_id(1)
    assert page.aliases == ["out.root"]
    assert page.versions[0].data_tier == "reco"
    assert [parent.name for parent in page.parents] == ["raw.root"]
    assert shown(production, "out.root").aliases == ["new.root"]


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        ({"checksum": 3, "size": 500, "metadata": {"prov.task_id": "t1"}}, "another checksum"),
        ({"checksum": 2, "size": 501, "metadata": {"prov.task_id": "t1"}}, "another size"),
        ({"checksum": 2, "size": 500, "metadata": {"prov.task_id": "t2"}}, "another task"),
        ({"checksum": 2, "size": 500}, "neither job nor task"),
        (
            {"checksum": 3, "metadata": {"prov.job_id": job_id(1), "prov.output": "no.root"}},
            "no such output",
        ),
    ],
)
def test_file_that_nothing_ties_to_a_job_stays_a_placeholder(
    production: Production, seen: dict[str, Any], why: str
) -> None:
    production.record(BORN)
    assert see(production, "new.root", **seen).job_id is None, why
    assert shown(production, "new.root").is_placeholder


def test_later_jobs_continue_the_lineage_through_the_new_name(production: Production) -> None:
    production.record(
        a_record(2, inputs=[file_entry("new.root", 2)], outputs=[file_entry("hist.root", 4)])
    )
    see(production, "new.root", 2, 500, **RENAMED)
    production.record(BORN)
    with production.database.reading.connect() as connection:
        assert {file.name for file in list_ancestors(connection, "hist.root").files} == {
            "new.root",
            "raw.root",
        }
        assert "hist.root" in {file.name for file in list_descendants(connection, "new.root").files}


def test_file_of_the_same_name_is_joined_by_checksum_or_by_name(production: Production) -> None:
    production.record(BORN)
    by = [
        see(production, "out.root", 2).joined_by,
        see(production, "out.root", locations=["dcache:/a"]).joined_by,
        see(production, "out.root", 2, 500, **RENAMED).joined_by,
        see(production, "out.root", 3).joined_by,
    ]
    assert by == ["checksum", "name", "job", None]
    page = shown(production, "out.root")
    assert (len(page.versions), page.aliases, page.locations) == (1, [], ["dcache:/a"])


def test_own_claim_of_the_name_goes_before_a_twin_in_the_task(production: Production) -> None:
    twin = a_record(
        2, outputs=[file_entry("twin.root", 2, 500)], task={"task_id": "t1", "unit": "b"}
    )
    see(production, "twin.root", 2, 500, metadata={"prov.task_id": "t1"})
    production.record(BORN)
    assert shown(production, "twin.root").aliases == ["out.root"]
    production.record(twin)
    assert shown(production, "twin.root").aliases == []
    assert shown(production, "twin.root").producer.job_id == job_id(2)


def test_alias_follows_a_revision_of_its_job(production: Production) -> None:
    production.record(BORN)
    see(production, "new.root", 2, 500, **RENAMED)
    production.record(
        {**BORN, "outputs": [file_entry("other.root", 2)]}, reason="the name was wrong"
    )
    # No output of that name any more: by checksum
    assert shown(production, "new.root").aliases == ["other.root"]
    production.record({**BORN, "outputs": [file_entry("other.root", 3)]}, reason="and the checksum")
    assert shown(production, "new.root").is_placeholder


def test_file_that_a_corrected_job_no_longer_claims_is_joined_to_its_birth(
    production: Production,
) -> None:
    """The job's own task and outputs say nothing of the sighting any more.

    Only what it claimed before does.
    """
    twin = a_record(
        2, outputs=[file_entry("twin.root", 2, 500)], task={"task_id": "t2", "unit": "b"}
    )
    production.record(BORN)
    production.record(twin)
    see(production, "twin.root", 2, 500, metadata={"prov.task_id": "t1"})
    assert shown(production, "twin.root").aliases == []

    production.record(
        {**twin, "outputs": [file_entry("else.root", 9)]}, reason="the name was wrong"
    )

    assert shown(production, "twin.root").aliases == ["out.root"]
    assert shown(production, "twin.root").producer.job_id == job_id(1)


def test_seeing_a_file_again_adds_nothing(production: Production) -> None:
    production.record(BORN)
    for expected in ("created", "same"):
        assert see(production, "new.root", 2, 500, **RENAMED).change == expected
    assert see(production, "new.root", 2, 500, locations=["tape"], **RENAMED).change == "created"
    with production.database.reading.connect() as connection:
        assert connection.execute(select(func.count()).select_from(Sighting)).scalar_one() == 2
        kinds = connection.execute(select(LedgerEntry.kind)).scalars().all()
        assert sorted(kinds) == ["record", "sighting", "sighting"]
        assert connection.execute(select(func.count()).select_from(Claim)).scalar_one() == 2


def test_rerun_gets_no_alias(production: Production) -> None:
    production.record({**BORN, "rerun_of": job_id(5)})
    assert see(production, "new.root", 2, 500, **RENAMED).job_id is None


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"name": "a"}, "experiment"),
        ({"experiment": "nova"}, "name"),
        ({"experiment": "nova", "name": "a/b"}, "name"),
        ({"experiment": "nova", "name": "a", "namespace": "\n"}, "namespace"),
        ({"experiment": "nova", "name": "a", "size_bytes": -1}, "size_bytes"),
        ({"experiment": "nova", "name": "a", "checksums": ["abc"]}, "checksums[0]"),
        ({"experiment": "nova", "name": "a", "sha256": digest(1)[1:]}, "sha256"),
        ({"experiment": "nova", "name": "a", "locations": "x"}, "locations"),
        (
            {"experiment": "nova", "name": "a", "metadata": {"prov.job_id": "7"}},
            "metadata.prov.job_id",
        ),
        (
            {"experiment": "nova", "name": "a", "metadata": {"prov.task_id": "a/b"}},
            "metadata.prov.task_id",
        ),
        ({"experiment": "nova", "name": "a", "metadata": {"x": "\0"}}, "metadata.x"),
        ({"experiment": "nova", "name": "a", "metadata": {"x": "\ud800"}}, "metadata.x"),
    ],
)
def test_bad_sighting_is_refused_by_the_name_of_its_field(
    document: dict[str, Any], field: str
) -> None:
    with pytest.raises(BadInputError) as refused:
        read_sighting(document)
    assert list(refused.value.fields) == [field]


_READ, _DIFFERS, _SEEN, _ELSEWHERE, _WRITTEN = "read", "differs", "seen", "elsewhere", "written"


@pytest.mark.parametrize(
    ("events", "of_namespace", "bare"),
    [
        pytest.param((_READ, _SEEN), [1], [], id="a namespace"),
        pytest.param((_READ, _DIFFERS, _SEEN), [1], [2], id="one with other bytes stays"),
        pytest.param((_READ, _SEEN, _ELSEWHERE), [], [1], id="two namespaces"),
        pytest.param((_READ, _SEEN, _WRITTEN), [], [1], id="a job writes the bare name"),
    ],
)
def test_input_of_a_bare_name_is_the_file_of_the_only_namespace_in_any_order(
    production: Production, events: tuple[str, ...], of_namespace: list[int], bare: list[int]
) -> None:
    for place, order in enumerate(permutations(events)):
        name, first = f"x{place}.root", 10 * place
        for event in order:
            match event:
                case "read":
                    production.record(a_record(first + 1, inputs=[file_entry(name, 7, 70)]))
                case "differs":
                    production.record(a_record(first + 2, inputs=[file_entry(name, 8, 80)]))
                case "seen":
                    see(production, name, 7, 70, namespace="one", is_only_namespace=True)
                case "elsewhere":
                    see(production, name, 7, 70, namespace="two", is_only_namespace=True)
                case "written":
                    production.record(a_record(first + 3, outputs=[file_entry(name, 9, 90)]))
        readers = {
            namespace: [consumer.job_id for consumer in _consumers(production, name, namespace)]
            for namespace in ("one", "")
        }
        assert readers == {
            "one": [job_id(first + number) for number in of_namespace],
            "": [job_id(first + number) for number in bare],
        }, order


def _consumers(production: Production, name: str, namespace: str) -> list[Consumer]:
    with production.database.reading.connect() as connection:
        try:
            return show_file(connection, name, namespace=namespace).consumers
        except NotFoundError:
            return []


def test_input_of_a_bare_name_resolves_to_who_made_it_under_its_full_name(
    production: Production,
) -> None:
    """Its reader knew no namespace, its maker did; a corrected record stays joined."""
    made = {**file_entry("x.root", 7, 70), "namespace": "one"}
    production.record(a_record(1, inputs=[file_entry("raw.root", 1)], outputs=[made]))
    reader = a_record(
        2, inputs=[file_entry("x.root", 7, 70)], outputs=[file_entry("y.root", 8, 80)]
    )
    production.record(reader)
    assert _ancestors(production) == {"x.root"}

    see(production, "x.root", 7, 70, namespace="one", is_only_namespace=True)
    assert _ancestors(production) == {"one:x.root", "raw.root"}

    production.record({**reader, "witness": "history", "host": {"hostname": "wn1"}})
    assert _ancestors(production) == {"one:x.root", "raw.root"}


def _ancestors(production: Production) -> set[str]:
    with production.database.reading.connect() as connection:
        files = list_ancestors(connection, "y.root").files
    return {f"{file.namespace}:{file.name}".lstrip(":") for file in files}


def test_lists_of_an_output_by_its_catalogs_name_hold_who_read_it_by_its_own(
    production: Production,
) -> None:
    production.record(BORN)
    production.record(a_record(2, inputs=[file_entry("out.root", 2, 500)]))
    see(production, "out.root", 2, 500, namespace="dune", **RENAMED)

    assert [each.job_id for each in shown(production, "dune:out.root").consumers] == [job_id(2)]


MOVED = {
    "namespace": "mu2epro",
    "metadata": {"prov.job_id": job_id(1), "prov.output": "moved.art"},
}


def test_file_that_was_moved_to_another_namespace_is_one_file_by_its_name(
    production: Production,
) -> None:
    """Mu2e's declad moves what usertests has to mu2epro: "2 files", each also called the other."""
    born = {"name": "moved.art", "namespace": "usertests", "size_bytes": 7}
    production.record(a_record(1, outputs=[born]))
    see(production, "moved.art", size=7, **MOVED)

    file = shown(production, "moved.art")

    assert (file.file.namespace, file.aliases) == ("usertests", ["mu2epro:moved.art"])


def test_files_of_one_name_that_jobs_wrote_in_two_namespaces_stay_two(
    production: Production,
) -> None:
    born = {"name": "moved.art", "namespace": "usertests", "size_bytes": 7}
    production.record(a_record(1, outputs=[born]))
    see(production, "moved.art", size=7, **MOVED)
    production.record(a_record(2, outputs=[{**born, "namespace": "mu2epro", "size_bytes": 8}]))

    with pytest.raises(AmbiguousError, match=r"2 files are named moved\.art"):
        shown(production, "moved.art")
