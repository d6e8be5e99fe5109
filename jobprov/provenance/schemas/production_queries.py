"""Questions about campaigns, tasks and their orders in addresses: their parameters, checked."""

from marshmallow import EXCLUDE, Schema, fields, validate

from jobprov.provenance.schemas.parameters import LONGEST, moment, number, text
from jobprov.provenance.schemas.queries import ExperimentQuery, ManyBundleQuery


class CampaignQuery(Schema):
    """The experiment of a campaign."""

    experiment = fields.String(
        required=True,
        validate=validate.Length(min=1, max=LONGEST),
        metadata={"description": "Of this experiment."},
    )


class NamedCampaignQuery(CampaignQuery):
    """The campaign, by name."""

    campaign = text(
        "Its name where no path can hold it, such as `.` or `a//b`; the path then says `-`."
    )


class ProductionsQuery(ExperimentQuery):
    """Two campaigns or releases."""

    by = fields.String(
        validate=validate.OneOf(("campaign", "release")),
        load_default="campaign",
        metadata={"description": "What `a` and `b` are."},
    )
    a = fields.String(
        required=True,
        validate=validate.Length(min=1, max=LONGEST),
        metadata={
            "description": "A campaign; or a release: a ref, a commit or "
            "`NAME=VERSION:QUALIFIERS` of a product."
        },
    )
    b = fields.String(
        required=True,
        validate=validate.Length(min=1, max=LONGEST),
        metadata={"description": "Another one."},
    )
    limit = fields.Integer(
        validate=validate.Range(min=1, max=10_000),
        load_default=200,
        metadata={"description": "Differences of one side of a stage at most."},
    )


class FoldedFormQuery(Schema):
    """The tasks of a campaign, and the form of the answer."""

    task_id = text("Only these tasks, with commas between them.")
    format = fields.String(validate=validate.OneOf(["json", "svg", "dot"]), load_default="json")


class CampaignGraphQuery(FoldedFormQuery, NamedCampaignQuery):
    """A campaign of an experiment, its tasks, and the form of the answer."""


class FoldedQuery(FoldedFormQuery):
    """A campaign, its tasks, and the form of the answer."""

    campaign = fields.String(
        required=True,
        validate=validate.Length(min=1, max=LONGEST),
        metadata={"description": "Its name."},
    )
    experiment = text("Needed where several experiments have a campaign of this name.")


class NamedTaskQuery(Schema):
    """The task, by its id."""

    task = text("Its id where no path can hold it, `.` or `..`; the path then says `-`.")


class TaskToWriteQuery(NamedTaskQuery):
    """The task that is declared, or gets a ticket."""

    class Meta:
        """These calls took no parameters in 0.1.0, and passed over whatever came."""

        unknown = EXCLUDE


class TaskQuery(ExperimentQuery, NamedTaskQuery):
    """Which task is meant."""


class TaskBundleQuery(ManyBundleQuery, NamedTaskQuery):
    """What the bundle of a task holds of each job, and of which stage."""


class CatalogQuery(TaskQuery):
    """The hours after which an output that is not in the catalog is late."""

    late_after_hours = number(
        0,
        100_000,
        "An output that the catalog does not know so long after its job ended never arrived; "
        "by default as the experiment sets it, else 6.",
    )


class MissingQuery(TaskQuery):
    """The form of the answer."""

    format = fields.String(validate=validate.OneOf(["json", "plain", "sam"]), load_default="json")


class DrainingQuery(TaskQuery):
    """The form of the answer."""

    format = fields.String(
        validate=validate.OneOf(["json", "plain", "did", "mql", "sam"]), load_default="json"
    )


class ArrivalsQuery(Schema):
    """An experiment, the days to show, and the hours that a file may take to arrive."""

    experiment = fields.String(
        required=True,
        validate=validate.Length(min=1, max=LONGEST),
        metadata={"description": "Of this experiment."},
    )
    days = number(1, 31, "So many days, today being the last; 7 by default.")
    hours = number(
        0, 100_000, "So long a file may take; by default as the experiment sets it, else 24."
    )
    until = moment("Count as of this moment instead of now.")
    limit = number(1, 1000, "How many late files at most; 100 by default.")
    cursor = text("`next` of the answer before.")


class ReadyQuery(TaskQuery):
    """The number of rows, and the form of the answer."""

    format = fields.String(validate=validate.OneOf(["json", "plain"]), load_default="json")
    limit = number(1, 1000, "How many at most; 100 by default.")
    cursor = text("`next` of the answer before.")


class WorkflowQuery(ExperimentQuery):
    """A version of a workflow."""

    version = number(1, 1_000_000, "A version; the newest by default.")


class AdvanceQuery(WorkflowQuery):
    """The version of a workflow that goes on."""

    follow = fields.Boolean(
        load_default=False,
        metadata={"description": "Ask the catalog for what appeared since in what stages follow."},
    )


class OrdersQuery(Schema):
    """The experiment whose orders are listed."""

    experiment = fields.String(
        required=True,
        validate=validate.Length(min=1, max=LONGEST),
        metadata={"description": "Its orders."},
    )


class OutsideInputsQuery(OrdersQuery):
    """Which inputs the bundles of jobs lack, or how the jobs were submitted."""

    jobs = text("Of these jobs: ids parted by commas.")


class RetriesQuery(OrdersQuery):
    """The jobs that would be tried again."""

    task_id = text("Those of this task that its policy offers.")
    jobs = text("These jobs, whatever their class: ids parted by commas.")
    memory_factor = fields.Float(
        validate=validate.Range(min=1, max=10),
        metadata={"description": "So many times the memory."},
    )
    other_site = fields.Boolean(
        metadata={"description": "Whether to avoid sites where the unit failed."}
    )
    output_dir = text("With condor or jobsub: for outputs whose own stage-out nobody recorded.")
    format = fields.String(
        validate=validate.OneOf(["json", "condor", "jobsub", "sam"]),
        load_default="json",
        metadata={
            "description": "JSON, a submit file, a command, or a SAM dimension of the inputs."
        },
    )


class PartOfQueueQuery(ExperimentQuery):
    """The part of a list of the jobs that run and wait."""

    limit = number(0, 1000, "How many at most, 0 for the counts alone; 100 by default.")
    cursor = text("`next` of the answer before.")


class TaskQueueQuery(PartOfQueueQuery, NamedTaskQuery):
    """The part of a list of the jobs of a task that run and wait."""


class TimelineQuery(TaskQuery):
    """The unit that is shown, or the way in which the jobs of the task are grouped."""

    unit = text("The attempts at this unit; the whole task by default.")
    by = fields.String(
        validate=validate.OneOf(("job", "site", "host")),
        metadata={
            "description": "Of a task: those of its jobs that took longest, or how many ran at "
            "once at each site or host; jobs by default where all of them fit, else sites."
        },
    )


class QueueQuery(PartOfQueueQuery):
    """The jobs that run and wait."""

    experiment = text("Only jobs of this experiment.")
    campaign = text("Only jobs of this campaign's tasks.")
