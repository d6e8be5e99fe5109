"""Both catalogs behave alike: one suite; and what only SAM has."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.catalogs.catalog import Catalog
from jobprov.provenance.catalogs.http import Access
from jobprov.provenance.catalogs.metacat import MetaCat
from jobprov.provenance.catalogs.opening import open_catalog, read_catalogs
from jobprov.provenance.catalogs.sam import Sam
from jobprov.provenance.errors import BadInputError, ForbiddenError, NotFoundError, UnreachableError
from jobprov.provenance.selections.catalog_source import CatalogSource
from tests.library.servers.catalogs import (
    CatalogServer,
    MetaCatServer,
    SamServer,
    Shelf,
    ShelfProcess,
    ShelfProject,
)

RECO = {"sam": {"data_tier": "reco"}, "metacat": {"core.data_tier": "reco"}}


class Story:
    """A catalog with raw files a1 to a450, of which the first three have children, over HTTP."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.shelf = Shelf()
        self.raw = [self.named(f"a{number}.root") for number in range(1, 451)]
        for number, name in enumerate(self.raw):
            self.shelf.add(name, size_bytes=number, checksums={"adler32": f"{number:08x}"})
        more: dict[str, Any] = {
            "metadata": {**RECO[kind], "prov.task_id": "t1", "prov.job_id": "j1"},
            "process_id": 7,
        }
        self.shelf.add(self.named("b1.root"), parents=self.raw[:1], **more)
        self.shelf.add(self.named("b2.root"), parents=self.raw[1:2], metadata=RECO[kind])
        self.shelf.add(self.named("h3.root"), parents=self.raw[2:3])
        self.shelf.add(
            self.named("old.root"), parents=self.raw[3:4], metadata=RECO[kind], is_retired=True
        )
        self.shelf.lists[self.named("raw")] = self.raw
        self.shelf.snapshots[71] = self.raw[:10]
        self.server: CatalogServer = (
            SamServer(self.shelf) if kind == "sam" else MetaCatServer(self.shelf)
        )

    def named(self, name: str) -> str:
        """Return a name as the catalog has it."""
        return name if self.kind == "sam" else f"dune:{name}"

    def catalog(self, **how: Any) -> Catalog:
        """Open it."""
        access = Access(self.server.url, **{"seconds": 30.0, "pause": 0.01, **how})
        return Sam(access) if self.kind == "sam" else MetaCat(access)

    @property
    def source(self) -> CatalogSource:
        """The raw files as a definition or dataset."""
        return (
            CatalogSource(definition="raw")
            if self.kind == "sam"
            else CatalogSource(dataset="dune:raw")
        )


@pytest.fixture(scope="module", params=["sam", "metacat"])
def shared(request: pytest.FixtureRequest) -> Iterator[Story]:
    story = Story(request.param)
    yield story
    story.server.close()


@pytest.fixture
def story(shared: Story) -> Story:
    shared.server.faults, shared.server.token = [], None
    shared.server.asked.clear()
    return shared


def test_source_is_listed_whole(story: Story) -> None:
    catalog = story.catalog()

    assert sorted(catalog.list_names(catalog.source_query(story.source))) == sorted(story.raw)


def test_files_are_read_by_batches_and_unknown_ones_left_out(story: Story) -> None:
    found = story.catalog().read_files([*story.raw, story.named("nowhere.root")])

    assert [file.name for file in found] == story.raw
    assert (found[3].size_bytes, found[3].checksums) == (3, ("adler32:00000003",))
    assert len(story.server.asked) == 3


def test_children_name_their_parents_task_job_and_process(story: Story) -> None:
    found = story.catalog().read_children(story.raw, RECO[story.kind])

    assert sorted((file.name, file.parents) for file in found) == [
        (story.named("b1.root"), (story.raw[0],)),
        (story.named("b2.root"), (story.raw[1],)),
    ]
    first = next(file for file in found if file.name == story.named("b1.root"))
    assert (first.task_id, first.job_id, first.process_id) == ("t1", "j1", 7)
    assert [file.name for file in story.catalog().read_children(story.raw[2:3], {})] == [
        story.named("h3.root")
    ]


def test_draining_list_is_what_has_no_child_like_this(story: Story) -> None:
    catalog = story.catalog()
    query = catalog.unprocessed_query(catalog.source_query(story.source), RECO[story.kind])

    assert set(story.raw) - set(catalog.list_names(query)) == set(story.raw[:2])


def test_files_of_a_task_are_found_by_its_id(story: Story) -> None:
    catalog = story.catalog()

    assert list(catalog.list_names(catalog.task_query("t1"))) == [story.named("b1.root")]


def test_what_goes_by_itself_is_asked_again(story: Story) -> None:
    story.server.faults = [503, 500, 429]

    assert story.catalog().read_metadata(story.raw[0]) is not None
    assert len(story.server.asked) == 4


def test_slow_server_is_given_up_after_its_attempts(story: Story) -> None:
    story.server.faults = ["slow", "slow"]
    began = time.monotonic()

    with pytest.raises(UnreachableError, match="ReadTimeout, 2 attempts"):
        story.catalog(seconds=0.1, attempts=2).read_metadata(story.raw[0])

    assert time.monotonic() - began < 15


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (400, BadInputError, "out of order"),
        (401, ForbiddenError, "renew the certificate or token"),
        (403, ForbiddenError, "renew"),
        (404, NotFoundError, "does not know"),
        (302, UnreachableError, "redirects .status 302. .* want a login"),
        ("broken", UnreachableError, "broke off|no JSON"),
    ],
)
def test_errors_are_told_apart_and_not_asked_again(
    story: Story, fault: Any, error: type[Exception], words: str
) -> None:
    story.server.faults = [fault]

    with pytest.raises(error, match=words):
        story.catalog().read_metadata(story.raw[0])

    assert len(story.server.asked) == 1


def test_token_is_sent_and_its_lack_is_told(story: Story) -> None:
    story.server.token = "secret"  # noqa: S105 - of a test

    assert story.catalog(token="secret").read_files(story.raw[:1])  # noqa: S106
    with pytest.raises(ForbiddenError, match="no valid credential"):
        story.catalog().read_files(story.raw[:1])


def test_hostile_values_are_refused_before_they_are_asked(story: Story) -> None:
    with pytest.raises(BadInputError):
        story.catalog().task_query("x' or file_id > '0")
    assert story.server.asked == []


def test_query_that_is_none_is_told_with_the_servers_words(story: Story) -> None:
    with pytest.raises(BadInputError, match="refuses the"):
        list(story.catalog().list_names("nothing that ( is"))


@pytest.fixture(scope="module")
def metacat() -> Iterator[Story]:
    story = Story("metacat")
    for number, value in enumerate((4711, "4711", [4711], 4711.5, True)):
        name = f"typed{number}.root"
        story.shelf.add(f"reco:{name}", metadata={"DUNE.requestid": value}, parents=story.raw[4:5])
    story.shelf.add("mc:a1.root")
    yield story
    story.server.close()


def test_one_file_of_metacat_is_asked_for_by_its_did(metacat: Story) -> None:
    """`name=ns:name`, as MetaCat's page says, is refused by its server."""
    catalog = metacat.catalog()

    assert catalog.read_metadata("dune:b1.root")["prov.task_id"] == "t1"
    with pytest.raises(NotFoundError, match="dune:none"):
        catalog.read_metadata("dune:none.root")
    with pytest.raises(BadInputError, match="say namespace:name"):
        catalog.read_metadata("b1.root")


def test_names_that_metacat_cannot_hold_are_not_asked_for(metacat: Story) -> None:
    """One of them made the server refuse all the others, or fail."""
    names = ["b1.root", "dune:hist+1.root", ":x.root", "du ne:x.root", "dune:b1.root"]

    found = metacat.catalog().read_files(names)

    assert [file.name for file in found] == ["dune:b1.root"]


def test_query_arrives_as_it_was_written_however_long(metacat: Story) -> None:
    """In an address it was decoded twice, so that `+` and `%` were lost, and ended at 4 kB."""
    file = metacat.shelf.add("dune:plus.root", metadata={"a.b": "c+d %41"})
    others = "".join(f" or a.b = 'x{number:0100}'" for number in range(100))
    query = f"files where a.b = 'c+d %41'{others}"

    assert list(metacat.catalog().list_names(query)) == [file.name]


@pytest.mark.parametrize(
    ("value", "children"),
    [
        ("4711", ["typed0", "typed1", "typed2"]),
        ("4711.5", ["typed3"]),
        ("true", ["typed4"]),
        ("04711", []),
    ],
)
def test_values_are_compared_with_numbers_and_text_alike(
    metacat: Story, value: str, children: list[str]
) -> None:
    """They were compared as numbers by a sync, and asked for as text by the draining query."""
    catalog, parents = metacat.catalog(), metacat.raw[4:5]
    outputs = {"DUNE.requestid": value}
    query = catalog.unprocessed_query(f"file {parents[0]}", outputs)

    found = catalog.read_children(parents, outputs)

    assert [file.name for file in found] == [f"reco:{child}.root" for child in children]
    assert list(catalog.list_names(query)) == ([] if children else parents)


def test_query_that_selects_datasets_gives_no_files(metacat: Story) -> None:
    """A dataset was frozen as if it were a file."""
    with pytest.raises(BadInputError, match="rows that are no files, such as datasets"):
        list(metacat.catalog().list_names("datasets dune:raw"))


def test_files_are_found_by_their_name_alone_in_each_namespace(metacat: Story) -> None:
    found = metacat.catalog().find_files(["a1.root", "none.root", "b+1.root"])

    assert [file.name for file in found] == ["dune:a1.root", "mc:a1.root"]


@pytest.fixture(scope="module")
def sam() -> Iterator[Story]:
    story = Story("sam")
    processes = [
        ShelfProcess(
            7,
            "81.0@sched",
            "wn1.fnal.gov",
            "completed",
            {story.raw[0]: "consumed", story.raw[1]: "completed"},
        ),
        ShelfProcess(8, "81.1@sched", "wn2.fnal.gov", "bad", {story.raw[2]: "delivered"}),
    ]
    story.shelf.projects["p1"] = ShelfProject(71, processes)
    story.shelf.add("c1.root", parents=["b1.root"])
    yield story
    story.server.close()


def test_project_says_its_files_and_processes(sam: Story) -> None:
    catalog = sam.catalog()
    assert isinstance(catalog, Sam)
    summary = catalog.read_project("p1")

    assert summary.definition == "raw"
    assert summary.file_counts == {"consumed": 1, "completed": 1, "delivered": 1}
    assert [
        (each.process_id, each.description, each.node, each.status) for each in summary.processes
    ] == [
        (7, "81.0@sched", "wn1.fnal.gov", "completed"),
        (8, "81.1@sched", "wn2.fnal.gov", "bad"),
    ]
    assert catalog.read_inputs(8) == [sam.raw[2]]


def test_places_of_a_file_are_addresses_and_paths(sam: Story) -> None:
    file = sam.shelf.add("where.root")
    file.folders = ["enstore:/pnfs/nova/raw(1234@vol)", "novadata:/nova/data/where.root", "s3:x"]

    places = sam.catalog().locate("where.root")

    door = "root://door.example.org:1094/"
    assert places[:2] == [
        f"{door}/pnfs/nova/raw/where.root",
        f"{door}/nova/data/where.root/where.root",
    ]
    assert places[3:] == ["/pnfs/nova/raw/where.root", "/nova/data/where.root"]
    assert sam.catalog().locate("gone.root") == []


def test_files_of_a_snapshot_are_listed(sam: Story) -> None:
    catalog = sam.catalog()

    names = catalog.list_names(catalog.source_query(CatalogSource(snapshot_id=71)))

    assert sorted(names) == sorted(sam.raw[:10])


def test_catalogs_are_named_in_a_file_and_mistakes_told(tmp_path: Path) -> None:
    path = tmp_path / "catalogs.toml"
    path.write_text('[nova]\nkind = "sam"\nurl = "https://sam.example.org/sam/nova/api"\n')
    assert open_catalog(read_catalogs(path), "nova").kind == "sam"
    with pytest.raises(NotFoundError, match="JOBPROV_CATALOGS"):
        open_catalog(read_catalogs(path), "dune")

    for text, words in [
        (
            '[nova]\nkind = "x"\nurl = "https://a"\n',
            r"\[nova\]: kind: one of metacat, sam, not 'x'",
        ),
        ('[nova]\nkind = "sam"\nurl = "ftp://a"\n', "no http"),
        ('[nova]\nkind = "sam"\nurl = "http://a.org"\ntoken_file = "t"\n', "needs https"),
        (
            '[nova]\nkind = "sam"\nurl = "https://a.org"\nfile = "t"\n',
            "file: there is no such field here; there are kind, url",
        ),
        ('[nova]\nkind = "sam"\n', r"catalogs.toml, \[nova\]: .*url"),
        (
            '[nova]\nkind = "sam"\nurl = "https://a"\narrive_within_hours = 0.5\n',
            r"catalogs.toml, \[nova\]: arrive_within_hours",
        ),
        ("[nova\n", "catalogs.toml"),
    ]:
        path.write_text(text)
        with pytest.raises(BadInputError, match=words):
            read_catalogs(path)
