"""The fields by which files are selected: their names here, in SAM and in MetaCat.

A field is of the file, of the job that made it (`prov.*` and what SAM calls the application), or of
the jobs that read it (what SAM says of projects and their consumers). Any other key with a dot, such
as `DUNE.campaign`, is of the metadata that a catalog, a transfer service or a record told with a
file; what SAM calls `file_type` or `run_number` is such a key too.

Source: SAM's dimensions; MetaCat's core category (sc. what declad makes of SAM's metadata).
"""

import json
import re
from collections.abc import Mapping
from typing import NamedTuple

NUMBER, TEXT, TIME = "number", "text", "time"


class Field(NamedTuple):
    """A field of files.

    Attributes:
        kind: `number`, `text` or `time`.
        meaning: a sentence for people.
        sam: its names in dimensions, the first of which is listed.
        metacat: its names in MQL, the first of which is a key of the metadata that we show.
    """

    kind: str
    meaning: str
    sam: tuple[str, ...]
    metacat: tuple[str, ...] = ()


FIELDS: dict[str, Field] = {
    "file_name": Field(TEXT, "The name of the file.", ("file_name",), ("name",)),
    "namespace": Field(
        TEXT, "Its namespace, '' where it has none.", ("prov.namespace",), ("namespace",)
    ),
    "file_id": Field(NUMBER, "Its id in this service.", ("file_id",), ("fid",)),
    "file_size": Field(NUMBER, "Its size in bytes.", ("file_size",), ("size",)),
    "data_tier": Field(TEXT, "The data tier.", ("data_tier",), ("core.data_tier",)),
    "event_count": Field(
        NUMBER, "How many events it holds.", ("event_count",), ("core.event_count",)
    ),
    "create_date": Field(
        TIME, "When the job that made it ended.", ("create_date",), ("created_timestamp",)
    ),
    "start_time": Field(
        TIME, "When the job that made it began.", ("start_time",), ("core.start_time",)
    ),
    "end_time": Field(TIME, "When the job that made it ended.", ("end_time",), ("core.end_time",)),
    "task_id": Field(
        TEXT,
        "The task of the job that made it.",
        ("prov.task_id", "poms.submission_id", "poms.task_id"),
        ("prov.task_id",),
    ),
    "job_id": Field(TEXT, "The job that made it.", ("prov.job_id",), ("prov.job_id",)),
    "campaign": Field(TEXT, "The campaign of that job.", ("prov.campaign",), ("prov.campaign",)),
    "stage": Field(TEXT, "The stage of that job.", ("prov.stage",), ("prov.stage",)),
    "unit": Field(TEXT, "The unit of its task.", ("prov.unit",), ("prov.unit",)),
    "batch_id": Field(
        TEXT,
        "The batch job, cluster.process@schedd.",
        ("prov.batch_id", "jobsubjobid"),
        ("prov.batch_id",),
    ),
    "host": Field(TEXT, "The node that it ran on.", ("prov.host", "job.node"), ("prov.host",)),
    "site": Field(TEXT, "The site that it ran at.", ("prov.site", "job.site"), ("prov.site",)),
    "application": Field(
        TEXT,
        "A product or repository whose code the job ran.",
        ("application", "appl_name"),
        ("core.application.name",),
    ),
    "version": Field(
        TEXT,
        "The version, tag or commit of such code.",
        ("version",),
        ("core.application.version",),
    ),
    "project_name": Field(
        TEXT, "A task whose jobs read it.", ("project_name", "snapshot_for_project_name")
    ),
    "consumed_status": Field(
        TEXT, "consumed, delivered or failed: how such a job stands.", ("consumed_status",)
    ),
    "consumer_process_description": Field(
        TEXT, "A batch job that read it.", ("consumer_process_description",)
    ),
}

METADATA: dict[str, Field] = {
    "core.file_type": Field(TEXT, "The file type, as mc or detector.", ("file_type",)),
    "core.file_format": Field(TEXT, "The file format, as artroot.", ("file_format",)),
    "core.data_stream": Field(TEXT, "The data stream.", ("data_stream",)),
    "core.run_type": Field(TEXT, "The type of its runs.", ("run_type",)),
    "core.runs": Field(NUMBER, "A run of which it holds events.", ("run_number",)),
    "core.first_event_number": Field(NUMBER, "Its first event.", ("first_event",)),
    "core.last_event_number": Field(NUMBER, "Its last event.", ("last_event",)),
    "core.application.family": Field(TEXT, "The family of its program.", ("family",)),
    "prov.submitted_by": Field(TEXT, "Who submitted the task.", ("user",), ("creator",)),
}
"""Metadata for which SAM has dimensions; here they stand in records or with catalogs alone."""
_KEY = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+")
_OF_CATALOG = "metadata "
"""Before the keys of metadata, as fields; no other field has a blank."""

_SAM: dict[str, str] = {}
_METACAT: dict[str, str] = {}
for _field, _described in FIELDS.items():
    _SAM.update(dict.fromkeys(_described.sam, _field))
    _METACAT.update(dict.fromkeys(_described.metacat, _field))
for _key, _described in METADATA.items():
    _SAM.update(dict.fromkeys(_described.sam, f"{_OF_CATALOG}{_key}"))
    _METACAT.update(dict.fromkeys(_described.metacat, f"{_OF_CATALOG}{_key}"))


class MetadataKey(NamedTuple):
    """A key of the metadata of files, or a member of its value.

    Attributes:
        name: the key.
        member: the key of a member in a dictionary, or its place in a list; None for the value.
    """

    name: str
    member: str | int | None = None

    def __str__(self) -> str:
        """Return it as MQL has it: `core.runs[0]`, `dune.workflow["workflow_id"]`."""
        return self.name if self.member is None else f"{self.name}[{json.dumps(self.member)}]"

    def value_in(self, metadata: Mapping[str, object]) -> object:
        """Return the value that some metadata have; None where there is none."""
        value = metadata.get(self.name)
        if self.member is None:
            return value
        if isinstance(value, dict):
            return value.get(self.member)
        if isinstance(value, list) and isinstance(self.member, int) and self.member < len(value):
            return value[self.member]
        return None


def field_of_dimension(name: str) -> str | None:
    """Return the field that a dimension names, in any case; None where there can be none.

    Keys of MetaCat's core category are understood too; keys of other metadata stand as they are.
    """
    lower = name.lower()
    return _SAM.get(lower) or _METACAT.get(lower) or _field_of_catalog(name)


def field_of_key(name: str) -> str | None:
    """Return the field that a key of MQL names; None where there can be none."""
    return _METACAT.get(name) or _field_of_catalog(name)


def _field_of_catalog(name: str) -> str | None:
    return f"{_OF_CATALOG}{name}" if _KEY.fullmatch(name) else None


def field_of_member(field: str, member: str | int) -> str:
    """Return the field that is a member of the value of a metadata key."""
    return f"{field}[{json.dumps(member)}]"


def key_in_metadata(field: str) -> MetadataKey | None:
    """Return the key of files' metadata that a field is; None for fields of our own."""
    if not field.startswith(_OF_CATALOG):
        return None
    name, _, member = field.removeprefix(_OF_CATALOG).partition("[")
    return MetadataKey(name, json.loads(member.removesuffix("]")) if member else None)


def described(field: str) -> Field:
    """Return what is to be said of a field."""
    key = key_in_metadata(field)
    if key is None:
        return FIELDS[field]
    if key.member is None and key.name in METADATA:
        return METADATA[key.name]
    return Field(
        TEXT, "As a catalog, transfer service or record told it.", (str(key),), (str(key),)
    )
