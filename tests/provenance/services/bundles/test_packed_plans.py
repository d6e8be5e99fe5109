"""Plans of a release share what they have in common, and each is read back byte for byte."""

import hashlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import select

from jobprov.provenance.bundle.draft import Member, member_of
from jobprov.provenance.bundle.plan import Plan
from jobprov.provenance.db.tables import BundlePlan
from jobprov.provenance.errors import BundleError
from jobprov.provenance.services.bundles import packed_plans
from jobprov.provenance.services.bundles.job_bundle import build_bundle
from jobprov.provenance.services.bundles.packed_plans import (
    PackedPlan,
    Template,
    Templates,
    pack_plan,
    template_of,
    unpack_plan,
)
from tests.library.production import Production
from tests.library.records import a_record, file_entry, job_id

VARIABLES = ", ".join(f'"NAME{number}": "/cvmfs/{number}"' for number in range(200))
FILES = {
    "data/JOB.json": f'{{"job_id": "@", "argv": ["run", "@.root"], "variables": {{{VARIABLES}}}}}\n',
    "data/README.txt": "Job @ of the experiment. " * 20 + "\n",
    "data/a.tsv": "",
    "data/b.tsv": "",
    "data/crate.json": '{"@id": "JOB.json", "sha256": "DIGEST"}\n',
}


def files_of(job: str, **others: str) -> dict[str, bytes]:
    """Return the generated files of a job; the last one names the digest of the first."""
    files = {path: text.replace("@", job).encode() for path, text in (FILES | others).items()}
    digest = hashlib.sha256(files["data/JOB.json"]).hexdigest()
    return {path: data.replace(b"DIGEST", digest.encode()) for path, data in files.items()}


def plan_of(files: dict[str, bytes], job: str) -> tuple[Plan, bytes]:
    """Return a plan as `make_plan` makes it, and the bytes of its generated files."""
    paths = sorted(files, key=str.encode)
    generated = b"".join(files[path] for path in paths)
    part_of, offset = hashlib.sha256(generated).hexdigest(), 0
    members = [Member(path="data/run.sh", mode=0o755, sha256="a" * 64, sha512="b" * 128, size=3)]
    for path in paths:
        member = member_of(path, files[path])
        members.append(replace(member, part_of=part_of, offset=offset))
        offset += len(files[path])
    members.sort(key=lambda member: member.path.encode())
    plan = Plan(
        spec_version=1, job_id=job, revision=0, top=job, level="L1", mtime=7, own=tuple(members)
    )
    return plan, generated


class Archive:
    """Stored plans, in memory; each `pack` is as of a process that remembers the last ones."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.plans: list[str] = []

    def keep(self, data: bytes) -> str:
        sha256 = hashlib.sha256(data).hexdigest()
        self.blobs[sha256] = data
        return sha256

    def pack(self, files: dict[str, bytes], job: str) -> PackedPlan:
        plan, generated = plan_of(files, job)
        newest = self.plans[::-1]
        packed = pack_plan(plan, generated, "group", lambda: newest[:3], self.blobs.__getitem__)
        self.plans.append(self.keep(packed.data))
        if packed.template:
            self.keep(packed.template)
        again = unpack_plan(packed.data, self.blobs.__getitem__)
        assert again == plan
        assert list(again.generated.values()) == [generated]
        return packed


@pytest.fixture(params=["one process", "a process each"])
def archive(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Archive:
    archive = Archive()
    monkeypatch.setattr(packed_plans, "recent_templates", Templates())
    if request.param == "a process each":
        forgetful = Templates()
        monkeypatch.setattr(forgetful, "use", lambda *_words: None)
        monkeypatch.setattr(packed_plans, "recent_templates", forgetful)
    return archive


def test_third_plan_of_a_release_stores_its_values_alone(archive: Archive) -> None:
    first, second, third, fourth = (
        archive.pack(files_of(job), job) for job in ("0f8b-1", "77aa-2", "c0de-3", "beef-4")
    )

    assert template_of(first.data) == ""
    assert second.template
    assert (third.template, fourth.template) == (b"", b"")
    assert template_of(third.data) == template_of(fourth.data) == template_of(second.data)
    assert max(len(plan.data) for plan in (second, third, fourth)) < 150
    assert b"0f8b-1" not in second.template
    assert b"77aa-2" not in second.template


def test_template_holds_nothing_that_a_plan_which_uses_it_lacks(archive: Archive) -> None:
    secret = {"data/extra.txt": "a word that only two jobs have\n"}
    for job in ("a-1", "b-2"):
        archive.pack(files_of(job, **secret), job)
    packed = archive.pack(files_of("c-3"), "c-3")

    template = archive.blobs.get(template_of(packed.data), b"")
    assert b"only two jobs" not in template


@pytest.mark.parametrize("word", ["\0", "\1", "\1" + "0" * 62 + "\1", "ü", ",,,\n\n"])
def test_any_text_is_read_back(archive: Archive, word: str) -> None:
    for job in ("a-1", f"b{word}2", f"c{word}3", "d-4"):
        archive.pack(files_of(job), job.replace("\0", ""))


LETTERS: Callable[..., st.SearchStrategy[str]] = st.text


@given(st.lists(LETTERS("ab01,-\n", max_size=60), min_size=3, max_size=3))
def test_template_gives_back_each_text_that_it_fits(texts: list[str]) -> None:
    first, second, third = (text.encode() for text in texts)
    template = Template.of(first, second)
    if template is None:
        return
    again = Template.from_bytes(template.to_bytes())
    for text in (first, second, third):
        fillings = again.fillings(text)
        if fillings is not None:
            assert again.filled(fillings) == text


def test_damaged_plan_is_an_error(archive: Archive) -> None:
    data = archive.pack(files_of("a-1"), "a-1").data
    for damaged in (b"", data[:-1], b"{}", data[:40], b"x" + data):
        with pytest.raises(BundleError, match="cannot be read"):
            unpack_plan(damaged, archive.blobs.__getitem__)


@pytest.mark.slow
def test_plans_of_one_release_take_under_a_kilobyte_and_outlive_each_other(
    production: Production,
) -> None:
    """The archive shares what jobs share; erasing one of them takes nothing from the others."""
    variables = {f"NAME{number}_DIR": f"/cvmfs/products/{number}" for number in range(100)}
    for number in range(1, 7):
        own = {"PATH": "/usr/bin:/bin", "OWN": f"secret-of-{number}"}
        fields = {
            "command": {"argv": ["run"], "working_directory": "/w"},
            "environment": {"variables": {**variables, **own}},
            "outputs": [file_entry(f"out_{number}.root", number)],
            "software": [{"name": "x", "product": {"manager": "ups", "version": "v1"}}],
        }
        production.record(a_record(number, **fields))
        production.bundle(number)
    plans = plans_of(production)
    sizes = [production.store.size(sha256) for sha256 in plans]
    before = {number: tar_of(production, number) for number in range(1, 7)}

    for number in (1, 2):
        production.erase_record(number, fields=("environment.variables.OWN",))

    assert max(sizes[1:]) < 1000 < sizes[0]
    assert production.store.missing(plans) == set(plans[:2])
    assert {number: tar_of(production, number) for number in range(3, 7)} == {
        number: before[number] for number in range(3, 7)
    }
    for sha256 in production.store.digests():
        held = production.store.get(sha256)
        assert b"secret-of-1" not in held
        assert b"secret-of-2" not in held


def plans_of(production: Production) -> list[str]:
    """Return the digests of all plans, the oldest first."""
    with production.database.reading.connect() as connection:
        query = select(BundlePlan.plan_sha256).order_by(BundlePlan.id)
        return list(connection.execute(query).scalars())


def tar_of(production: Production, number: int) -> str:
    bundle = build_bundle(production.database, production.writer, production.store, job_id(number))
    return hashlib.sha256(b"".join(bundle.stream())).hexdigest()
