"""Questions to histories in addresses: their parameters, checked."""

from marshmallow import fields, validate

from jobprov.provenance.schemas.parameters import file_name, moment, number, text
from jobprov.provenance.schemas.queries import (
    ExperimentQuery,
    FileQuery,
    JobsByFileQuery,
    SomeJobsQuery,
)

STATES = ("running", "succeeded", "failed", "killed", "lost")
_AS_OF = "Only what had been recorded by this time."
_PAGE = "At most this many; 100 by default."
_CURSOR = "`next` of the page before."


class PairQuery(ExperimentQuery):
    """Two files."""

    a = file_name(
        "A file; `namespace:name` where several namespaces know the name, "
        "`:name` for the one without a namespace."
    )
    b = file_name("Another file.")
    experiment = text("The experiment of both files, where several know a name.")
    experiment_a = text(
        "The experiment of the first file, where the two are of different experiments."
    )
    experiment_b = text("The experiment of the other file.")


class VersionQuery(FileQuery):
    """Which version of a file, where the question is not about its newest or about all."""

    version = number(
        1,
        2**31 - 1,
        "Which version of the file. By default what made it is asked of the newest version, "
        "and what was made from it of all versions.",
    )


class LineageQuery(FileQuery):
    """The depth and direction of a history, and the form of the answer."""

    direction = fields.String(
        validate=validate.OneOf(["ancestors", "descendants", "both"]), load_default="both"
    )
    depth = number(1, 1000, "At most this many jobs away.")
    limit = fields.Integer(
        validate=validate.Range(min=1, max=1000),
        load_default=200,
        metadata={"description": "At most this many nodes."},
    )
    version = number(1, 2**31 - 1, "Which version of the file; the newest by default.")
    kind = fields.String(
        validate=validate.OneOf(["file", "job"]),
        metadata={"description": "Only files, or only jobs, linked directly."},
    )
    role = text(
        "Files in this role (primary, secondary, shared, configuration), and the jobs that read "
        "them."
    )
    stage = text("Jobs of this stage, and the files that they made.")
    state = fields.String(
        validate=validate.OneOf(STATES),
        metadata={"description": "Jobs in this state, and their files."},
    )
    started_after = moment("Jobs that started at or after this time, and their files.")
    started_before = moment("Jobs that started before this time, and their files.")
    software = text(
        "Jobs that used code of this name, and their files; with `revision`, of that code."
    )
    revision = text("Jobs that ran this commit or tag, and their files.")
    as_of = moment(_AS_OF)
    format = fields.String(
        validate=validate.OneOf(
            ["json", "dot", "svg", "prov-json", "prov-n", "openlineage", "csv", "text"]
        ),
        load_default="json",
    )


class RebuildQuery(FileQuery):
    """The files that are lost."""

    lost = text(
        "Names of other files that are lost too, separated by commas: `name`, `namespace:name` "
        "or `experiment/namespace:name`."
    )
    from_scratch = fields.Boolean(
        load_default=False,
        metadata={"description": "Treat every file as lost that a recorded job made."},
    )


class ImpactQuery(JobsByFileQuery, SomeJobsQuery):
    """Which jobs, and how far what they made is followed. At least one filter is needed."""

    software = text(
        "Jobs that used code of this name; with `revision`, of that code; `NAME=VERSION:QUALIFIERS` "
        "for a product, where * stands for any letters of the version."
    )
    revision = text(
        "Jobs that ran this commit or tag; `X..Y` for all commits from X to Y, both included."
    )
    state = text("running, succeeded, failed, killed or lost.")
    parameter = text(
        "Jobs whose configuration has this parameter: its key, where `*` stands for any letters."
    )
    value = text(
        "With `parameter`: its value, after one of = != < <= > >= ~; = where none is given. "
        "A whole sequence is [1, 2]."
    )
    variable = text(
        "Jobs with this environment variable, of those that decide physics: `NAME=VALUE`, with != "
        "or ~ in place of =, or its name alone."
    )
    seed = number(-(2**63), 2**63 - 1, "Jobs with a random engine that began with this seed.")
    direct = fields.Boolean(
        load_default=False, metadata={"description": "Only what these jobs made themselves."}
    )
    format = fields.String(validate=validate.OneOf(["json", "csv", "ndjson"]), load_default="json")
    limit = number(1, 1000, _PAGE)
    cursor = text(_CURSOR)


class CostQuery(VersionQuery):
    """A file, and the moment that is asked about."""

    as_of = moment(_AS_OF)


class EndsQuery(CostQuery):
    """A file, and how many roots or leaves are listed."""

    limit = number(1, 1000, _PAGE)
    cursor = text(_CURSOR)


class OrphansQuery(FileQuery):
    """The files that no recorded job made."""

    isolated = fields.Boolean(
        load_default=False,
        metadata={"description": "Only those from which no file was made either."},
    )
    unread = fields.Boolean(
        load_default=False, metadata={"description": "Only those that no job read either."}
    )
    limit = number(1, 1000, _PAGE)
    cursor = text(_CURSOR)


class PathsQuery(PairQuery):
    """The two files, and how many paths are listed."""

    as_of = moment(_AS_OF)
    limit = number(1, 100, "At most this many paths; 10 by default.")


class CommonQuery(PairQuery):
    """The two files, and how their common ancestors are listed."""

    as_of = moment(_AS_OF)
    hub = number(1, 10**6, "A file that more jobs than this read is a hub; 100 by default.")
    limit = number(1, 1000, _PAGE)
    cursor = text(_CURSOR)
