"""The plan of a bundle: an ordered list of members by digest.

The bundle is the tar of the plan (tar.py), always with the same bytes. A plan is a pure function of
its ingredients, without clock, locale, network or database. Templates may change from one
specification to the next, but a plan never changes. The part that depends only on the code is a
fragment, which plans share by digest.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from itertools import chain

import msgspec

from jobprov.provenance.bundle.bag import BagFacts, add_bag, add_holey_bag
from jobprov.provenance.bundle.description.crate import add_crate
from jobprov.provenance.bundle.description.exports import add_exports
from jobprov.provenance.bundle.description.gap_list import KnownGaps, add_gaps, known_gaps
from jobprov.provenance.bundle.description.readme import add_readme
from jobprov.provenance.bundle.draft import Draft, Member, WriteBlob, by_path
from jobprov.provenance.bundle.fields import RecordPart, canonical_json
from jobprov.provenance.bundle.ingredients import Ingredients, Reader
from jobprov.provenance.bundle.names import plain_name
from jobprov.provenance.bundle.needs import HIGHEST
from jobprov.provenance.bundle.payload.code.software import add_code
from jobprov.provenance.bundle.payload.code.tree import read_fragment
from jobprov.provenance.bundle.payload.command.command import add_command
from jobprov.provenance.bundle.payload.command.paths import add_paths, map_program_folders
from jobprov.provenance.bundle.payload.configuration import add_configurations
from jobprov.provenance.bundle.payload.environment.environment import add_environment
from jobprov.provenance.bundle.payload.files import (
    add_conditions,
    add_logs,
    add_scripts,
    add_seeds,
)
from jobprov.provenance.bundle.payload.inputs import add_inputs
from jobprov.provenance.bundle.payload.layout import add_layout, add_made_folders, note_links
from jobprov.provenance.bundle.payload.outputs import add_outputs
from jobprov.provenance.bundle.payload.payload import Payload
from jobprov.provenance.bundle.payload.storage import add_storage_clients
from jobprov.provenance.bundle.templates import EDITION, add_programs
from jobprov.provenance.errors import BundleError

SPEC_VERSION = 1
_LEVELS = tuple(f"L{number}" for number in range(HIGHEST + 1))


class _StoredPlan(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A plan as it is stored; fragments by digest."""

    spec_version: int
    job_id: str
    revision: int
    top: str
    level: str
    mtime: int
    members: list[Member]
    fragments: list[str]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The contents of a bundle.

    Attributes:
        top: name of the tar's only top folder.
        level: the highest level that is complete, `L0` to `L4`.
        mtime: time of every entry of the tar, in seconds since 1970.
        own: members of this bundle alone, sorted by the bytes of their path.
        fragments: sorted members of the parts that bundles share, by digest of the part.
        generated: bytes of generated members by `part_of`, where they are in memory.
    """

    spec_version: int
    job_id: str
    revision: int
    top: str
    level: str
    mtime: int
    own: tuple[Member, ...]
    fragments: Mapping[str, tuple[Member, ...]] = field(default_factory=dict)
    generated: Mapping[str, bytes] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """Every member, sorted by the bytes of its path."""
        return tuple(sorted(chain(self.own, *self.fragments.values()), key=by_path))

    def blobs(self) -> set[str]:
        """Digests of all blobs in the bundle, without the plan itself and what is stored in it."""
        named = {member.blob for member in self.members} | set(self.fragments)
        return named - {"", *self.generated}

    @staticmethod
    def named_in(data: bytes) -> set[str]:
        """Digests of the blobs that a plan's bytes name, without those in its fragments.

        Nothing if the bytes are not a plan.
        """
        try:
            stored = msgspec.json.decode(data, type=_StoredPlan)
        except msgspec.DecodeError:
            return set()
        return ({member.blob for member in stored.members} | set(stored.fragments)) - {""}

    def to_bytes(self) -> bytes:
        """The plan as canonical JSON; fragments by digest."""
        stored = _StoredPlan(
            spec_version=self.spec_version,
            job_id=self.job_id,
            revision=self.revision,
            top=self.top,
            level=self.level,
            mtime=self.mtime,
            members=list(self.own),
            fragments=list(self.fragments),
        )
        return canonical_json(msgspec.to_builtins(stored))

    @classmethod
    def from_bytes(cls, data: bytes, read: Callable[[str], bytes]) -> "Plan":
        """The plan that `to_bytes` wrote; `read` returns the blob of a fragment.

        Raises:
            BundleError: these bytes are not a plan, or of a specification that this version does
                not know.
        """
        try:
            stored = msgspec.json.decode(data, type=_StoredPlan)
        except msgspec.DecodeError as error:
            message = (
                f"The stored plan of a bundle cannot be read ({error}); build the bundle anew from "
                "its record."
            )
            raise BundleError(message) from error
        if stored.spec_version != SPEC_VERSION:
            message = (
                f"The stored plan of a bundle is of specification {stored.spec_version}, which "
                "this version does not know."
            )
            raise BundleError(message)
        return cls(
            spec_version=stored.spec_version,
            job_id=stored.job_id,
            revision=stored.revision,
            top=stored.top,
            level=stored.level,
            mtime=stored.mtime,
            own=tuple(stored.members),
            fragments={sha256: read_fragment(read(sha256)) for sha256 in stored.fragments},
        )


def make_plan(
    ingredients: Ingredients,
    reader: Reader,
    write_blob: WriteBlob,
    *,
    level: str | None = None,
    edition: int = EDITION,
    is_holey: bool = False,
) -> Plan:
    """The plan of a job's bundle.

    Its generated members are written through `write_blob`, which returns their SHA-256.

    Args:
        ingredients: the job.
        reader: the blobs that its experiment possesses.
        write_blob: keeps generated bytes where `reader` will find them.
        level: a ceiling, `L0` to `L4`: what only higher levels need is left out. The plan's own
            level is the one that is complete.
        edition: of the scripts.
        is_holey: list inputs that are not possessed in fetch.txt, if their location is a URL.

    Raises:
        BundleError: an unknown level.
    """
    job_id = RecordPart(ingredients.record).text("job_id")
    top, mtime = plain_name(job_id, "job"), bundle_time(ingredients)
    payload = Payload(ingredients, Draft(reader, write_blob), top, ceiling_of(level), edition)
    payload.fetched = {} if is_holey else None
    payload.write("JOB.json", ingredients.record_bytes)
    fill(payload)
    reached = min(payload.level, payload.needs.level())
    _describe(payload, known_gaps(ingredients, reader), level=reached, mtime=mtime)
    _add_bag(payload, job_id, level=reached, mtime=mtime)
    return finished_plan(
        payload.draft, job_id, revision=ingredients.revision, top=top, level=reached, mtime=mtime
    )


def _describe(payload: Payload, known: KnownGaps, *, level: int, mtime: int) -> None:
    """Write a bundle's description and programs, once the rest of its payload is there."""
    payload.write("NEEDS.tsv", payload.needs.table())
    add_gaps(payload, known)
    add_programs(payload)
    add_readme(payload, known, level=level)
    add_exports(payload, mtime=mtime)
    add_crate(payload, mtime=mtime)


def _add_bag(payload: Payload, job_id: str, *, level: int, mtime: int) -> None:
    facts: BagFacts = {
        "identifier": f"urn:uuid:{job_id}",
        "spec_version": SPEC_VERSION,
        "level": level,
        "mtime": mtime,
        "record_sha256": hashlib.sha256(payload.ingredients.record_bytes).hexdigest(),
    }
    if payload.fetched:
        add_holey_bag(payload.draft, list(payload.fetched.values()), **facts)
    else:
        add_bag(payload.draft, **facts)


def finished_plan(
    draft: Draft, name: str, *, revision: int, top: str, level: int, mtime: int
) -> Plan:
    """The plan of what was written into a draft; `name` is the job's, or that of many."""
    draft.finish()
    return Plan(
        spec_version=SPEC_VERSION,
        job_id=name,
        revision=revision,
        top=top,
        level=f"L{level}",
        mtime=mtime,
        own=tuple(draft.own()),
        fragments=draft.fragments,
    )


def fill(payload: Payload, *, has_logs: bool = True) -> None:
    """Write every part of the payload.

    The order matters: parts that map paths come before those that rewrite strings by the mapping.
    """
    add_code(payload)
    note_links(payload)
    add_scripts(payload)
    add_storage_clients(payload)
    add_configurations(payload)
    add_inputs(payload)
    add_conditions(payload)
    add_outputs(payload)
    if has_logs:
        add_logs(payload)
    add_seeds(payload)
    map_program_folders(payload)
    add_made_folders(payload)
    add_layout(payload)
    add_environment(payload)
    add_command(payload)
    add_paths(payload)


def ceiling_of(level: str | None) -> int:
    """The level as a number; the highest one if no level was asked for.

    Raises:
        BundleError: an unknown level.
    """
    if level is None:
        return HIGHEST
    if level not in _LEVELS:
        message = (
            f"There is no closure level {level!r} in this specification; ask for one of "
            f"{', '.join(_LEVELS)}."
        )
        raise BundleError(message)
    return _LEVELS.index(level)


def bundle_time(ingredients: Ingredients) -> int:
    """ended_at, else started_at, else received_at, in whole seconds UTC; never before 1970."""
    for name in ("ended_at", "started_at"):
        moment = _moment(RecordPart(ingredients.record).text(name))
        if moment is not None:
            return max(0, int(moment.timestamp()))
    return max(0, int(ingredients.received_at.timestamp()))


def _moment(written: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
