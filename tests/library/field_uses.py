"""What changes when one field of a record changes: recipe, result, comparison, gaps, bundle, page.

Measured on a record that says everything, whose values are made from the types of `JobRecord`: a
new field is in it without being named here.
"""

import copy
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec.inspect as inspection

from jobprov.app.factory import create_app
from jobprov.provenance.db.recording.configurations.physics_variables import PhysicsVariables
from jobprov.provenance.db.upkeep.migrating import upgrade
from jobprov.provenance.errors import RecordError
from jobprov.provenance.records.field_uses import FieldUse
from jobprov.provenance.records.gaps.findings import Findings
from jobprov.provenance.records.gaps.gaps import find_gaps
from jobprov.provenance.records.job_record import JobRecord
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.records.recipes import recipe_of, result_of
from jobprov.provenance.services.comparisons.facets import record_facets
from tests.library.productions.toy_job import Toy

Document = dict[str, Any]
_RECORD = inspection.type_info(JobRecord)
_IDENTITY = frozenset({"schema_version", "job_id", "experiment"})
_WHOLE_RECORD = ("JOB.json", "prov/", "ro-crate")  # parts of a bundle that tell all of a record
_TIME_OF_NOW = re.compile(r'<time datetime="(?!2026-03-01)[^>]*>[^<]*</time>')
"""When the record was received; the times in the records themselves are of one day in March."""
_TIMES = ("2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z")


def leaf_fields(kind: Any = _RECORD, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (path, type) of every field that holds no fields.

    In a path, `[]` stands for each member of a list.
    """
    kind = _without_none(kind)
    if isinstance(kind, inspection.ListType) and isinstance(kind.item_type, inspection.StructType):
        yield from leaf_fields(kind.item_type, f"{path}[]")
    elif isinstance(kind, inspection.StructType):
        for field in kind.fields:
            yield from leaf_fields(field.type, f"{path}.{field.encode_name}".lstrip("."))
    else:
        yield path, kind


def measured_uses(folder: Path) -> dict[str, FieldUse]:
    """Return what each field reaches, by path.

    The identity of a record reaches everything and is left out.
    """
    full = _full_record()
    pages = _Pages(folder, full)
    bundle = _bundle_files(full)
    uses = {}
    for path, kind in leaf_fields():
        if path in _IDENTITY:
            continue
        changed = copy.deepcopy(full)
        _set(changed, path, _value(kind, path, 1))
        uses[path] = FieldUse(
            recipe=recipe_of(_read(changed)) != recipe_of(_read(full)),
            result=result_of(_read(changed)) != result_of(_read(full)),
            comparison=_differing_facets(full, changed),
            gap=_gaps_without(full, path),
            bundle=_differing_parts(bundle, _bundle_files(changed)),
            page=pages.differs(changed),
        )
    return uses


def _differing_facets(full: dict[str, Any], changed: dict[str, Any]) -> tuple[str, ...]:
    facets = record_facets(full, changed, deciding=PhysicsVariables("GENIE_XSEC_TUNE"))
    return tuple(facet.name for facet in facets if facet.count)


def _without_none(kind: Any) -> Any:
    if isinstance(kind, inspection.UnionType):
        return next(part for part in kind.types if not isinstance(part, inspection.NoneType))
    return kind


def _value(kind: Any, path: str, variant: int) -> Any:
    """Return a value that a field of this type may have; each path and variant has another."""
    kind = _without_none(kind)
    if path.endswith("checksums"):
        return [f"adler32:{_unique(path, variant)[:8]}"]
    if isinstance(kind, inspection.ListType):
        return [_value(kind.item_type, path, variant)]
    if isinstance(kind, inspection.StructType):
        places = [(f"{path}.{field.encode_name}".lstrip("."), field) for field in kind.fields]
        return {field.encode_name: _value(field.type, place, variant) for place, field in places}
    return _SIMPLE.get(type(kind), _word)(kind, path, variant)


def _unique(path: str, variant: int) -> str:
    return hashlib.sha256(f"{path}{variant}".encode()).hexdigest()


def _word(kind: Any, path: str, variant: int) -> str:
    pattern = getattr(kind, "pattern", None) or ""
    if "{64}" in pattern:
        return _unique(path, variant)
    if "{12}" in pattern:
        return f"0f8b6a4e-3c51-5a0e-9c3f-{_unique(path, variant)[:12]}"
    return f"{path.replace('.', '-').replace('[]', '')}-{variant}"


_SIMPLE = {
    inspection.IntType: lambda _, path, variant: int(_unique(path, variant)[:6], 16),
    inspection.FloatType: lambda _, __, variant: 100.5 + variant * 1000,
    inspection.BoolType: lambda _, __, variant: variant == 0,
    inspection.DateTimeType: lambda _, __, variant: _TIMES[variant],
    inspection.LiteralType: lambda _, __, variant: ("succeeded", "failed")[variant],
    inspection.DictType: lambda _, path, variant: {
        path.rpartition(".")[2].upper(): f"{path}-{variant}"
    },
}
"""How to make the value of a type that holds no fields; every other type is a word."""


def _full_record() -> Document:
    """Return a record with every field, around what the toy job needs to be laid out."""
    full: Document = _value(_RECORD, "", 0)
    record: Document = _over(full, Toy().record)
    record["witness"] = "wrapper"
    record["outputs"][0]["status"] = "written"
    record["command"]["steps"][0] |= {"role": "payload", "argv": record["command"]["argv"]}
    return record


def _over(below: Any, above: Any) -> Any:
    """Return one document over another: where only one has a field, that one."""
    if isinstance(below, dict) and isinstance(above, dict):
        merged = {name: _over(below[name], value) for name, value in above.items() if name in below}
        return {**below, **above, **merged}
    if isinstance(below, list) and isinstance(above, list) and below and above:
        return [_over(below[0], above[0]), *above[1:]]
    return above


def _set(record: Document, path: str, value: Any) -> None:
    """Set a field of the first member of each list; take it out where the value is None."""
    *parents, name = path.split(".")
    node: Any = record
    for parent in parents:
        node = node[parent.removesuffix("[]")]
        if parent.endswith("[]"):
            node = node[0]
    node.pop(name)
    if value is not None:
        node[name] = value


def _read(record: Document) -> JobRecord:
    return decode_record(json.dumps(record).encode()).record


def _gaps_without(full: Document, path: str) -> tuple[str, ...]:
    """Return the codes of the gaps that a record has which lacks a field, and has not with it."""
    less = copy.deepcopy(full)
    _set(less, path, None)
    try:
        record = _read(less)
    except RecordError:
        return ()  # a record cannot be without it
    before = {gap.code for gap in find_gaps(_read(full), Findings())}
    return tuple(sorted({gap.code for gap in find_gaps(record, Findings())} - before))


def _bundle_files(record: Document) -> dict[str, str]:
    """Return the digests of the files of the job's bundle, by path."""
    toy = Toy()
    toy.record = record
    files = {}
    for member in toy.plan().members:
        path = member.path.removeprefix("data/")
        if path != member.path and not path.startswith(_WHOLE_RECORD):
            files[path] = member.sha256
    return files


def _differing_parts(before: dict[str, str], after: dict[str, str]) -> tuple[str, ...]:
    """Return the folders, and files at the top, in which two bundles differ."""
    paths = [path for path in before.keys() | after.keys() if before.get(path) != after.get(path)]
    return tuple(sorted({path.split("/")[0] for path in paths}))


class _Pages:
    """The pages of jobs on a service of its own.

    Each record is another experiment's, under the same id.
    """

    def __init__(self, folder: Path, full: Document) -> None:
        upgrade(f"sqlite:///{folder}/jobprov.db")
        self._app = create_app({"JOBPROV_DATA": str(folder)})
        self._count = 0
        self._full_page = self._page_of(full)

    def differs(self, record: Document) -> bool:
        """Return whether the page of this record says something else than that of the full one."""
        return self._page_of(record) != self._full_page

    def _page_of(self, record: Document) -> str:
        self._count += 1
        experiment = f"experiment{self._count:04d}"
        job = record["job_id"]
        client = self._app.test_client()
        body = json.dumps({**record, "experiment": experiment})
        taken = client.put(f"/api/v1/jobs/{job}", data=body, content_type="application/json")
        assert taken.status_code == 201, taken.text
        page = client.get(f"/jobs/{job}?experiment={experiment}")
        assert page.status_code == 200, page.text
        text = page.text.replace(experiment, "EXPERIMENT")
        return _TIME_OF_NOW.sub("NOW", text)
