"""Questions in addresses: their parameters, checked.

Those to histories and productions have modules of their own.
"""

from marshmallow import Schema, fields, validate

from jobprov.provenance.answers.statistics.throughput import MEASURES
from jobprov.provenance.schemas.parameters import LONGEST, id_list, moment, namespace, number, text

_LEAST, _MOST = -(2**63), 2**63 - 1
CONFIGURATION_FORMS = (
    "expanded",
    "canonical",
    "compact",
    "indented",
    "annotated",
    "prefix-annotated",
    "ran",
    "computed",
)
"""The forms in which a configuration is given.

It has its includes, is evaluated as by `fhicl-dump`, or is as it ran: as the program wrote it itself,
else as computed from files and command line; `computed` is that in any case.
"""


class ExperimentQuery(Schema):
    """Which experiment is meant, where a name alone does not say it."""

    experiment = text("Needed where several experiments know the name.")


class JobQuery(ExperimentQuery):
    """A job, as one of its witnesses says it."""

    witness = text("Whose record; the first in precedence by default.")


_VARIABLE = (
    "Jobs with this environment variable, of those that decide physics: `NAME=VALUE`, with != or ~ "
    "in place of =, or its name alone."
)
_SOFTWARE = (
    "Jobs that used code of this name; `NAME=VERSION:QUALIFIERS` for a product, where * stands for "
    "any letters of the version."
)


class JobsAnyTimeQuery(ExperimentQuery):
    """Which jobs a question is about, whenever they ran."""

    task_id = text("Jobs of this task.")
    campaign = text("Jobs of this campaign.")
    stage = text("Jobs of this stage.")
    host = text("Jobs on this worker node.")
    site = text("Jobs at this site.")
    revision = text("Jobs that ran this commit.")


class SomeJobsQuery(JobsAnyTimeQuery):
    """Which jobs a question is about."""

    started_after = moment("Jobs that started at or after this time.")
    started_before = moment("Jobs that started before this time.")


class JobsByFileQuery(Schema):
    """Which file jobs read or made."""

    file = text(
        "Jobs that produced or consumed this file; `namespace:name` where several namespaces know "
        "the name."
    )
    reads = text("Jobs that consumed this file.")
    file_experiment = text("Whose file it is; that of the jobs by default, where it has one.")
    namespace = namespace("Namespace of the file; empty for none.")
    checksum = text(
        "Only jobs that saw the file with this checksum: `sha256:9f86…` or `adler32:0a1b2c3d`, or "
        "the first letters of a SHA-256 alone."
    )


class FilteredJobsQuery(JobsByFileQuery, SomeJobsQuery):
    """Jobs by all that they are filtered by."""

    state = text(
        "Jobs in this state: running, succeeded, failed, killed or lost; several with commas "
        "between them."
    )
    job_id = id_list("Jobs of these ids, at most 200, with commas between them.")
    exit_code = number(_LEAST, _MOST, "Jobs that ended with this exit code.")
    failed_step = text("Jobs that failed in this step.")
    error_class = text("Jobs that failed with an error of this class.")
    failure_class = text("Jobs whose failure is of this class, by the rules of triage.")
    cause_id = text("Jobs that failed of this cause: `cause_id` of a cause of errors.")
    unit = text("Jobs of this unit of their task.")
    batch_id = text("Jobs of this batch job.")
    recipe_id = text("Jobs of this recipe.")
    parameter = text(
        "Jobs whose configuration, as it ran, has this parameter; its key, with `*` for any letters."
    )
    value = text(
        "With `parameter`: its value, after one of = != < <= > >= ~; = where none is given. A "
        "whole sequence is [1, 2]."
    )
    variable = text(_VARIABLE)
    seed = number(-(2**63), 2**63 - 1, "Jobs with a random engine that began with this seed.")
    software = text(_SOFTWARE)
    received_after = moment("Jobs whose first record came after this time.")


class JobsQuery(FilteredJobsQuery):
    """Jobs, newest first or in another order."""

    sort = text(
        "The order: received_at, started_at or ended_at; for at most 10,000 jobs of a task, host, "
        "cause or time also wall_seconds, cpu_seconds, max_rss_bytes, exit_code, output_count, "
        "state, stage, task_id, unit, site or host. With - in front the largest or latest first; "
        "-received_at by default."
    )
    limit = number(1, 1000, "How many at most; 100 by default.")
    cursor = text("`next` of the answer before.")


class JobFacetsQuery(FilteredJobsQuery):
    """Jobs, and what they are counted by."""

    by = text(
        "What they are counted by: state, experiment, campaign, stage, task_id, site, host, "
        "exit_code, failed_step, error_class or failure_class; several with commas between them, "
        "all by default."
    )
    limit = fields.Integer(
        validate=validate.Range(1, 100),
        load_default=20,
        metadata={"description": "Values of each at most, the most frequent ones."},
    )


class ErrorsQuery(SomeJobsQuery):
    """Jobs that are over, and how causes of failure are counted."""

    by = fields.String(
        validate=validate.OneOf(
            ["stage", "site", "host", "version", "day", "class", "step", "code"]
        ),
        metadata={
            "description": "Split causes by this as well; class, step and code: count by it alone."
        },
    )
    sort = fields.String(
        validate=validate.OneOf(["count", "newest", "growing"]),
        load_default="count",
        metadata={"description": "Most frequent, newest, or fastest growing first."},
    )


class ResourcesQuery(SomeJobsQuery):
    """Jobs that succeeded, and what they are told apart by."""

    by = fields.String(
        validate=validate.OneOf(["stage", "site", "host", "version"]), load_default="stage"
    )


class ThroughputQuery(JobsAnyTimeQuery):
    """Jobs that ended in a window of time, and what is counted of them."""

    state = text(
        "Jobs that ended so: succeeded, failed, killed or lost; several with commas between them."
    )
    since = text("How long before its end the window starts: 90m, 24h, 7d, 4w; 7d by default.")
    ended_after = moment("When the window starts, instead of `since`.")
    ended_before = moment("When the window ends; now by default.")
    step = text("How long a step is: 10m, 1h, 1d.")
    steps = number(2, 900, "About how many steps at most, instead of `step`; 170 by default.")
    by = fields.String(
        validate=validate.OneOf(["state", "stage", "site", "class"]),
        load_default="state",
        metadata={"description": "What groups are told apart by; class: of failures alone."},
    )
    measure = fields.String(
        validate=validate.OneOf(MEASURES),
        load_default="jobs",
        metadata={
            "description": "What is counted: files and events are those written, `running` is how "
            "many ran at once. `idle` and `held` is how many waited, and `queue` all that waited "
            "and ran, as queues were reported. Of wall_seconds and max_rss_bytes the distribution "
            "is told."
        },
    )


class ModulesQuery(SomeJobsQuery):
    """Jobs that succeeded, what they are told apart by, and which two groups are compared."""

    by = fields.String(
        validate=validate.OneOf(["stage", "site", "host", "version"]), load_default="version"
    )
    first = text("The group to compare with, by name; of the two largest the older one by default.")
    second = text("The group that is compared, by name.")


class EstimateQuery(SomeJobsQuery):
    """Which jobs to learn from, and how much is to be done again."""

    files = number(1, 10**9, "Units of the first stage.")
    events = number(1, 10**15, "Events that the first stage is to put out, instead of `files`.")
    slots = number(1, 10**7, "Jobs that run at once; 1000 by default.")


class RecipesQuery(ExperimentQuery):
    """Recipes whose jobs have more than one result."""

    limit = number(1, 500, "How many at most; 100 by default.")
    cursor = text("`next` of the answer before.")


class TrailQuery(Schema):
    """The experiment whose trail is shown."""

    experiment = fields.String(
        required=True,
        validate=validate.Length(1, LONGEST),
        metadata={"description": "What was done in this experiment."},
    )
    kind = text("Only acts of this kind, such as waiver.")
    limit = number(1, 500, "How many at most; 100 by default.")
    cursor = text("`next` of the answer before.")


class AttentionQuery(Schema):
    """How long causes of failures count as new."""

    since = fields.String(
        load_default="24h",
        metadata={
            "description": "A cause is new where no job failed of it before: 90m, 24h, 7d, 4w."
        },
    )


class AlertsQuery(Schema):
    """The alerts that are listed."""

    experiment = text("Alerts of this experiment.")
    state = text("`open`: those that are not over; `over`: those that are.")
    limit = number(1, 500, "How many at most; 100 by default.")
    cursor = text("`next` of the answer before.")


class GapsQuery(ExperimentQuery):
    """The jobs whose gaps are counted."""

    task_id = text("Jobs of this task.")
    campaign = text("Jobs of this campaign.")
    stage = text("Jobs of this stage.")


class ProofsQuery(Schema):
    """The experiment whose recipes are counted."""

    experiment = text("Recipes of this experiment; of all by default.")


class ToProveQuery(Schema):
    """The experiment whose recipes are rerun next, and how many of them."""

    experiment = fields.String(
        required=True,
        validate=validate.Length(1, LONGEST),
        metadata={"description": "Recipes of this experiment."},
    )
    limit = number(1, 100, "How many at most; 100 by default.")


class ComparatorsQuery(Schema):
    """The rules that are shown."""

    version = number(1, 2**31 - 1, "An earlier version; the newest by default.")


class AfterQuery(Schema):
    """What a change was made from."""

    after = number(
        0,
        2**31 - 1,
        "The version that it was made from: 409 where there is a newer one. 0: there was none.",
    )


class ConfigurationQuery(ExperimentQuery):
    """The form of the answer."""

    form = fields.String(
        validate=validate.OneOf(["files", "source", "evaluated", *CONFIGURATION_FORMS]),
        load_default="evaluated",
    )
    file = text("With `form=source`: which file, by its include name.")


class LogQuery(ExperimentQuery):
    """The part of a log that is shown."""

    tail = number(1, 100_000, "Only so many last lines.")


class LogTailQuery(ExperimentQuery):
    """Where some bytes of a log belong."""

    offset = number(0, 2**62, "Position of the first byte in the log; 0 by default.")


class BundleQuery(ExperimentQuery):
    """The bundle that is built."""

    plan = number(1, 2**31 - 1, "An earlier plan; the newest by default.")
    level = fields.String(
        validate=validate.OneOf(["L0", "L1", "L2", "L3", "L4"]),
        metadata={
            "description": (
                "Leave out what only a higher level holds; everything goes in by default."
            )
        },
    )
    holey = fields.Boolean(
        load_default=False,
        metadata={
            "description": "List inputs that are not here and have a URL in BagIt's fetch.txt."
        },
    )
    locate = fields.Boolean(
        load_default=False,
        metadata={
            "description": (
                "Ask the experiment's Rucio or SAM where inputs are now that are not here."
            )
        },
    )


class ManyBundleQuery(ExperimentQuery):
    """What an export holds of each job, and of which stage."""

    stage = text("Only jobs of this stage.")
    level = fields.String(
        validate=validate.OneOf(["L0", "L1", "L2", "L3", "L4"]),
        metadata={
            "description": (
                "Leave out what only a higher level holds; everything goes in by default."
            )
        },
    )


class CampaignBundleQuery(ManyBundleQuery):
    """What an export holds of the jobs of a campaign."""

    campaign = text(
        "Its name where no path can hold it, such as `.` or `a//b`; the path then says `-`."
    )


class FileQuery(ExperimentQuery):
    """A file, where the name alone does not say which."""

    namespace = namespace("Namespace of the file; empty for none.")


class FileVersionQuery(FileQuery):
    """A file, and which of its versions."""

    version = number(1, 2**31 - 1, "Which version of the file; the newest by default.")


class FilesQuery(FileQuery):
    """Files, in the order of names."""

    name = text("Name, with `*` for any letters and `?` for one.")
    task_id = text("Files made by jobs of this task.")
    data_tier = text("Files of this data tier.")
    limit = number(1, 1000, "How many at most; 100 by default.")
    cursor = text("`next` of the answer before.")


class NamesQuery(Schema):
    """Names, in order."""

    experiment = text("Names that this experiment uses.")
    campaign = text("Names that this campaign uses.")
    name = text("This name alone, to see whether it is recorded.")
    limit = number(1, 1000, "How many at most; 1000 by default.")
    cursor = text("`next` of the answer before.")


class EventQuery(Schema):
    """The experiment that a run belongs to."""

    experiment = text("Whose run it is; needed where no token says it.")


class SearchQuery(Schema):
    """The text that is searched for."""

    kind = text("Only this kind: file, task, message, …")
    limit = number(1, 1000, "How many of a kind at most; 10 by default.")
    q = fields.String(
        required=True,
        validate=validate.Length(min=1, max=LONGEST),
        metadata={"description": "Any part of a name, or the beginning of an id."},
    )
