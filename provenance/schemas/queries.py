"""Questions in addresses: their parameters, checked. Unknown ones are refused, so that a slip is not taken for "all"."""

from datetime import UTC, datetime
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from provenance.errors import BadInputError

_LONGEST = 3000
_LEAST, _MOST = -(2**63), 2**63 - 1
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
CONFIGURATION_FORMS = ("expanded", "canonical", "compact", "indented", "annotated", "prefix-annotated", "ran")
"""What a configuration can be printed as: with its includes in, evaluated in the forms of `fhicl-dump`, as the program wrote it itself."""


STATES = ("running", "succeeded", "failed", "killed", "lost")
_AS_OF = "Only what had been recorded at this time."


def _text(words: str) -> fields.String:
    return fields.String(validate=validate.Length(min=1, max=_LONGEST), metadata={"description": words})


def _moment(words: str) -> fields.AwareDateTime:
    limits = validate.Range(min=_FIRST, max=_LAST, error="outside the years 1970 to 2199")
    return fields.AwareDateTime(format="iso", default_timezone=UTC, validate=limits, metadata={"description": words})


def _number(least: int, most: int, words: str) -> fields.Integer:
    return fields.Integer(validate=validate.Range(min=least, max=most), metadata={"description": words})


def _namespace(words: str) -> fields.String:
    return fields.String(validate=validate.Length(max=_LONGEST), metadata={"description": words})


def _file_name(words: str) -> fields.String:
    return fields.String(required=True, validate=validate.Length(min=1, max=_LONGEST), metadata={"description": words})


class ExperimentQuery(Schema):
    """Which experiment is meant, where a name alone does not say it."""

    experiment = _text("Needed where several experiments know the name.")


class JobQuery(ExperimentQuery):
    """A job, as one of its witnesses says it."""

    witness = _text("Whose record; the first in precedence by default.")


class SomeJobsQuery(ExperimentQuery):
    """Which jobs a question is about."""

    task_id = _text("Jobs of this task.")
    campaign = _text("Jobs of this campaign.")
    stage = _text("Jobs of this stage.")
    host = _text("Jobs on this worker node.")
    site = _text("Jobs at this site.")
    revision = _text("Jobs that ran this commit.")
    started_after = _moment("Jobs that started at or after this time.")
    started_before = _moment("Jobs that started before this time.")


class JobsByFileQuery(Schema):
    """Which file jobs read or made."""

    file = _text("Jobs that produced or consumed this file; `namespace:name` where several namespaces know the name.")
    reads = _text("Jobs that consumed this file.")
    file_experiment = _text("Whose file it is; that of the jobs by default, where it has one.")
    namespace = _namespace("Namespace of the file; empty for none.")


class JobsQuery(JobsByFileQuery, SomeJobsQuery):
    """Jobs, newest first."""

    state = _text("running, succeeded, failed, killed or lost.")
    exit_code = _number(_LEAST, _MOST, "Jobs that ended with this exit code.")
    failed_step = _text("Jobs that failed in this step.")
    error_class = _text("Jobs that failed with an error of this class.")
    failure_class = _text("Jobs whose failure is of this class, by the rules of triage.")
    unit = _text("Jobs of this unit of their task.")
    batch_id = _text("Jobs of this batch job.")
    recipe_id = _text("Jobs of this recipe.")
    parameter = _text("Jobs whose configuration has this parameter; its key, with `*` for any letters.")
    value = _text(
        "With `parameter`: its value, after one of = != < <= > >= ~; = where none is given. A whole sequence is [1, 2]."
    )
    received_after = _moment("Jobs whose first record came after this time.")
    limit = _number(1, 1000, "How many at most; 100 by default.")
    cursor = _text("`next` of the answer before.")


class ErrorsQuery(SomeJobsQuery):
    """Jobs that are over, and how causes of failure are counted."""

    by = fields.String(
        validate=validate.OneOf(["stage", "site", "host", "version", "day", "class", "step", "code"]),
        metadata={"description": "Split causes by this as well; class, step and code: count by it alone."},
    )
    sort = fields.String(
        validate=validate.OneOf(["count", "newest", "growing"]),
        load_default="count",
        metadata={"description": "Most frequent, newest, or fastest growing first."},
    )


class ResourcesQuery(SomeJobsQuery):
    """Jobs that succeeded, and what they are told apart by."""

    by = fields.String(validate=validate.OneOf(["stage", "site", "host", "version"]), load_default="stage")


class ModulesQuery(SomeJobsQuery):
    """Jobs that succeeded, what they are told apart by, and which two groups are compared."""

    by = fields.String(validate=validate.OneOf(["stage", "site", "host", "version"]), load_default="version")
    first = _text("The group to compare with, by name; of the two largest the older one by default.")
    second = _text("The group that is compared, by name.")


class EstimateQuery(SomeJobsQuery):
    """Which jobs to learn from, and how much is to be done again."""

    files = _number(1, 10**9, "Units of the first stage.")
    events = _number(1, 10**15, "Events that the first stage is to put out, instead of `files`.")
    slots = _number(1, 10**7, "Jobs that run at once; 1000 by default.")


class RecipesQuery(ExperimentQuery):
    """Recipes whose jobs have more than one result."""

    limit = _number(1, 500, "How many at most; 100 by default.")
    cursor = _text("`next` of the answer before.")


class GapsQuery(ExperimentQuery):
    """Whose gaps."""

    task_id = _text("Jobs of this task.")
    campaign = _text("Jobs of this campaign.")
    stage = _text("Jobs of this stage.")


class ComparatorsQuery(Schema):
    """Which rules."""

    version = _number(1, 2**31 - 1, "An earlier version; the newest by default.")


class AfterQuery(Schema):
    """What a change was made from."""

    after = _number(
        0, 2**31 - 1, "The version that it was made from: 409 where there is a newer one. 0: there was none."
    )


class ConfigurationQuery(ExperimentQuery):
    """In which form."""

    form = fields.String(
        validate=validate.OneOf(["files", "source", "evaluated", *CONFIGURATION_FORMS]), load_default="evaluated"
    )
    file = _text("With `form=source`: which file, by its include name.")


class LogQuery(ExperimentQuery):
    """How much of a log."""

    tail = _number(1, 100_000, "Only so many last lines.")


class LogTailQuery(ExperimentQuery):
    """Where some bytes of a log belong."""

    offset = _number(0, 2**62, "Position of the first byte in the log; 0 by default.")


class BundleQuery(ExperimentQuery):
    """Which bundle."""

    plan = _number(1, 2**31 - 1, "An earlier plan; the newest by default.")
    level = fields.String(
        validate=validate.OneOf(["L0", "L1", "L2", "L3", "L4"]),
        metadata={"description": "Leave out what only a higher level holds; everything goes in by default."},
    )
    holey = fields.Boolean(
        load_default=False,
        metadata={"description": "List inputs that are not here and have a URL in BagIt's fetch.txt."},
    )


class ManyBundleQuery(ExperimentQuery):
    """How much of each job, and which stage."""

    stage = _text("Only jobs of this stage.")
    level = fields.String(
        validate=validate.OneOf(["L0", "L1", "L2", "L3", "L4"]),
        metadata={"description": "Leave out what only a higher level holds; everything goes in by default."},
    )


class FileQuery(ExperimentQuery):
    """A file, where the name alone does not say which."""

    namespace = _namespace("Namespace of the file; empty for none.")


class PairQuery(ExperimentQuery):
    """Two files."""

    a = _file_name("A file; `namespace:name` where several namespaces know the name, `:name` for the one without.")
    b = _file_name("Another file.")
    experiment = _text("Of both files, where several experiments know a name.")
    experiment_a = _text("Of the first file, where the two are of different experiments.")
    experiment_b = _text("Of the other.")


class VersionQuery(FileQuery):
    """Which version of a file, where the question is not about its newest or about all."""

    version = _number(
        1, 2**31 - 1, "Which version of the file. What made it: of the newest by default; what came of it: of all."
    )


class FilesQuery(FileQuery):
    """Files, in the order of names."""

    name = _text("Name, with `*` for any letters and `?` for one.")
    task_id = _text("Files made by jobs of this task.")
    data_tier = _text("Files of this data tier.")
    limit = _number(1, 1000, "How many at most; 100 by default.")
    cursor = _text("`next` of the answer before.")


class LineageQuery(FileQuery):
    """How far, in which direction, in which form."""

    direction = fields.String(validate=validate.OneOf(["ancestors", "descendants", "both"]), load_default="both")
    depth = _number(1, 1000, "So many jobs away at most.")
    limit = fields.Integer(
        validate=validate.Range(min=1, max=1000), load_default=200, metadata={"description": "Nodes at most."}
    )
    version = _number(1, 2**31 - 1, "Which version of the file; the newest by default.")
    kind = fields.String(
        validate=validate.OneOf(["file", "job"]), metadata={"description": "Only files, or only jobs, joined directly."}
    )
    role = _text("Files that a job used so (primary, secondary, shared, configuration), and these jobs.")
    stage = _text("Jobs of this stage, and the files that they made.")
    state = fields.String(
        validate=validate.OneOf(STATES), metadata={"description": "Jobs in this state, and their files."}
    )
    started_after = _moment("Jobs that started at or after this time, and their files.")
    started_before = _moment("Jobs that started before this time, and their files.")
    software = _text("Jobs that used code of this name, and their files; with `revision`, of that code.")
    revision = _text("Jobs that ran this commit or tag, and their files.")
    as_of = _moment(_AS_OF)
    format = fields.String(
        validate=validate.OneOf(["json", "dot", "svg", "prov-json", "prov-n", "openlineage", "csv", "text"]),
        load_default="json",
    )


class RebuildQuery(FileQuery):
    """What is lost."""

    lost = _text("Names of other files that are lost too, with commas between them.")
    from_scratch = fields.Boolean(
        load_default=False, metadata={"description": "Take every file as lost that a recorded job made."}
    )


class ImpactQuery(JobsByFileQuery, SomeJobsQuery):
    """Which jobs, and how far what they made is followed. At least one filter is needed."""

    software = _text("Jobs that used code of this name; with `revision`, of that code.")
    revision = _text("Jobs that ran this commit or tag; `X..Y` for all commits from X to Y, both included.")
    state = _text("running, succeeded, failed, killed or lost.")
    parameter = _text("Jobs whose configuration has this parameter; its key, with `*` for any letters.")
    value = _text(
        "With `parameter`: its value, after one of = != < <= > >= ~; = where none is given. A whole sequence is [1, 2]."
    )
    direct = fields.Boolean(load_default=False, metadata={"description": "Only what these jobs made themselves."})
    format = fields.String(validate=validate.OneOf(["json", "csv", "ndjson"]), load_default="json")
    limit = _number(1, 1000, "How many at most; 100 by default.")
    cursor = _text("`next` of the answer before.")


class EventQuery(Schema):
    """Whose run an event is of."""

    experiment = _text("Whose run it is; needed where no token says it.")


class CampaignQuery(Schema):
    """Whose campaign."""

    experiment = fields.String(
        required=True, validate=validate.Length(min=1, max=_LONGEST), metadata={"description": "Of this experiment."}
    )


class FoldedFormQuery(Schema):
    """Which tasks of a campaign, in which form."""

    task_id = _text("Only these tasks, with commas between them.")
    format = fields.String(validate=validate.OneOf(["json", "svg", "dot"]), load_default="json")


class CampaignGraphQuery(FoldedFormQuery, CampaignQuery):
    """Whose campaign, which of its tasks, in which form."""


class FoldedQuery(FoldedFormQuery):
    """Which campaign, which of its tasks, in which form."""

    campaign = fields.String(
        required=True, validate=validate.Length(min=1, max=_LONGEST), metadata={"description": "Its name."}
    )
    experiment = _text("Needed where several experiments have a campaign of this name.")


class MissingQuery(ExperimentQuery):
    """In which form."""

    format = fields.String(validate=validate.OneOf(["json", "plain", "sam"]), load_default="json")


class ReadyQuery(ExperimentQuery):
    """How many, in which form."""

    format = fields.String(validate=validate.OneOf(["json", "plain"]), load_default="json")
    limit = _number(1, 1000, "How many at most; 100 by default.")
    cursor = _text("`next` of the answer before.")


class WorkflowQuery(ExperimentQuery):
    """Which version of a workflow."""

    version = _number(1, 1_000_000, "A version; the newest by default.")


class AdvanceQuery(WorkflowQuery):
    """Which version of a workflow goes on."""

    follow = fields.Boolean(
        load_default=False,
        metadata={"description": "Ask the catalog for what appeared since in what stages follow."},
    )


class OrdersQuery(Schema):
    """Whose orders."""

    experiment = fields.String(
        required=True, validate=validate.Length(min=1, max=_LONGEST), metadata={"description": "Its orders."}
    )


class RetriesQuery(OrdersQuery):
    """Which jobs would be tried again."""

    task_id = _text("Those of this task that its policy offers.")
    jobs = _text("These jobs, whatever their class: ids parted by commas.")
    memory_factor = fields.Float(
        validate=validate.Range(min=1, max=10), metadata={"description": "So many times the memory."}
    )
    other_site = fields.Boolean(metadata={"description": "Whether to avoid sites where the unit failed."})
    format = fields.String(
        validate=validate.OneOf(["json", "condor", "jobsub", "sam"]),
        load_default="json",
        metadata={"description": "JSON, a submit file, a command, or a SAM dimension of the inputs."},
    )


class SearchQuery(Schema):
    """What is looked for."""

    q = fields.String(
        required=True, validate=validate.Length(min=1, max=_LONGEST), metadata={"description": "Any name or id."}
    )


def read_query(schema: type[Schema], arguments: Any) -> dict[str, Any]:
    """Return the parameters, checked and typed; those that were not given and have no default are absent.

    Raises:
        BadInputError: one is unknown, wrong or given twice; `fields` names it.
    """
    _refuse_repeated(arguments)
    try:
        found: dict[str, Any] = schema().load(arguments.to_dict() if hasattr(arguments, "to_dict") else arguments)
    except ValidationError as problem:
        messages = {str(name): [str(word) for word in words] for name, words in problem.messages_dict.items()}
        first = next(iter(messages))
        raise BadInputError(f"{first}: {messages[first][0]}", messages) from None
    for name, value in found.items():
        if isinstance(value, str) and "\0" in value:
            raise BadInputError(f"{name}: a NUL cannot be part of it.", {name: ["NUL"]})
    return found


def _refuse_repeated(arguments: Any) -> None:
    """Refuse parameters that stand in an address more than once: whichever was taken, the other would be ignored.

    Raises:
        BadInputError: one does; `fields` names it.
    """
    many = dict(arguments.lists()) if hasattr(arguments, "lists") else {}
    if twice := [name for name, values in many.items() if len(values) > 1]:
        raise BadInputError(f"{twice[0]}: given more than once.", {name: ["given more than once"] for name in twice})
