"""The schema of the tables for analysis: what each column is, in which unit.

It is a promise to programs that we do not know. A new table or column keeps `SCHEMA_VERSION`;
whatever changes or removes one raises it. `docs/reference/tables.md` repeats it.
"""

from typing import NamedTuple

SCHEMA_VERSION = 1

TEXT, INTEGER, NUMBER, MOMENT, TRUTH = "text", "integer", "number", "moment", "truth"


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        kind: TEXT, INTEGER (64 bits), NUMBER (64 bits), MOMENT (UTC, microseconds) or TRUTH.
        meaning: what it says, with its unit.
        repeats: whether few values fill it, so that a dictionary makes it small.
    """

    name: str
    kind: str
    meaning: str
    repeats: bool = True


class TableSchema(NamedTuple):
    """A table.

    Attributes:
        meaning: what one row is.
        by_month: whether an experiment has a file a month, or one in all.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    by_month: bool = True


_JOB_ID = Column("job_id", TEXT, "the job, as in `jobs`", repeats=False)

JOBS = TableSchema(
    "jobs",
    "a job that has ended, or that was lost sight of; running jobs are left out",
    (
        Column("job_id", TEXT, "its UUID", repeats=False),
        Column("state", TEXT, "`succeeded`, `failed`, `killed` or `lost`"),
        Column("campaign", TEXT, "the campaign of its task"),
        Column("stage", TEXT, "its stage"),
        Column("task", TEXT, "its task: one submission of a stage"),
        Column("unit", TEXT, "what of its task it works on", repeats=False),
        Column("batch_id", TEXT, "`cluster.process@schedd`", repeats=False),
        Column("retry_of", TEXT, "the job id of the attempt before", repeats=False),
        Column("rerun_of", TEXT, "the job id of the job that it ran again to compare"),
        Column("site", TEXT, "where it ran"),
        Column("facility", TEXT, "the facility of the site"),
        Column("host", TEXT, "the worker node"),
        Column("release", TEXT, "what people call its code: name and version"),
        Column("received_at", MOMENT, "when its first record came"),
        Column("started_at", MOMENT, "when it began", repeats=False),
        Column("ended_at", MOMENT, "when it ended", repeats=False),
        Column("wall_seconds", NUMBER, "wall time, in seconds", repeats=False),
        Column("cpu_seconds", NUMBER, "CPU time, user and system, in seconds", repeats=False),
        Column("max_rss_bytes", INTEGER, "largest resident memory, in bytes", repeats=False),
        Column("exit_code", INTEGER, "its exit code"),
        Column("exit_signal", INTEGER, "the number of the signal that ended it"),
        Column("failed_step", TEXT, "the step that failed"),
        Column("error_class", TEXT, "the class of the error, as its record says"),
        Column("message", TEXT, "the beginning of the error's message, 300 characters at most"),
        Column("output_count", INTEGER, "how many files it made"),
    ),
)
STEPS = TableSchema(
    "steps",
    "a step of a job; a job that is one program may have none",
    (
        _JOB_ID,
        Column("position", INTEGER, "its place in the job, from 0"),
        Column("step", TEXT, "its name"),
        Column("role", TEXT, "`setup`, `stage_in`, `payload`, `stage_out` or `program`"),
        Column("within", TEXT, "of a program: the step that started it"),
        Column("program", TEXT, "the first word of its command line, without folders"),
        Column("exit_code", INTEGER, "its exit code"),
        Column("exit_signal", INTEGER, "the number of the signal that ended it"),
        Column("started_at", MOMENT, "when it began", repeats=False),
        Column("ended_at", MOMENT, "when it ended", repeats=False),
    ),
)
FILES = TableSchema(
    "files",
    "a file that a job made; `job_id` and `file` name it",
    (
        _JOB_ID,
        Column("file", TEXT, "`namespace:name`, or the name alone", repeats=False),
        Column("position", INTEGER, "its place among the outputs, from 0"),
        Column("status", TEXT, "such as `written`, `empty` or `not_kept`"),
        Column("data_tier", TEXT, "its data tier"),
        Column("event_count", INTEGER, "how many events it holds"),
        Column("size_bytes", INTEGER, "its size, in bytes", repeats=False),
        Column("checksums", TEXT, "`algorithm:value`, joined by blanks", repeats=False),
        Column("alias_of", TEXT, "the file of the same job that was renamed to this"),
    ),
)
EDGES = TableSchema(
    "edges",
    "one file was made from another; of several jobs that may have made the parent, a row each",
    (
        _JOB_ID._replace(meaning="the job that made the child"),
        Column("file", TEXT, "the child, as in `files`", repeats=False),
        Column("parent_experiment", TEXT, "the experiment of the parent"),
        Column("parent_job_id", TEXT, "the job that made the parent; NULL: none is recorded"),
        Column("parent_file", TEXT, "the parent, as in `files`", repeats=False),
        Column("is_sure", TRUTH, "false: only the absence of a contradiction links parent and job"),
    ),
)
CONFIGURATIONS = TableSchema(
    "configurations",
    "a FHiCL configuration that a job ran",
    (
        _JOB_ID,
        Column("position", INTEGER, "its place in the job, from 0"),
        Column("step", TEXT, "the step that ran it"),
        Column("main", TEXT, "the name of its main file"),
        Column("configuration", TEXT, "its SHA-256: main file, search path and includes"),
    ),
)
MODULES = TableSchema(
    "modules",
    "what a module of art took in a job",
    (
        _JOB_ID,
        Column("position", INTEGER, "its place in the job's list, from 0"),
        Column("step", TEXT, "the step that ran it"),
        Column("path", TEXT, "its path"),
        Column("label", TEXT, "its label"),
        Column("type", TEXT, "its type"),
        Column("events", INTEGER, "how many events it saw"),
        Column("seconds_total", NUMBER, "wall time of all events, in seconds", repeats=False),
        Column("seconds_max", NUMBER, "wall time of its slowest event, in seconds", repeats=False),
        Column(
            "rss_delta_bytes_max",
            INTEGER,
            "largest growth of the resident memory in an event, in bytes",
            repeats=False,
        ),
    ),
)
FAILURES = TableSchema(
    "failures",
    "why a job failed, as the rules of its experiment classify it",
    (
        _JOB_ID,
        Column("class", TEXT, "the class of the failure"),
        Column("is_transient", TRUTH, "whether another attempt may succeed"),
        Column("cause_key", TEXT, "failures of one cause share it"),
        Column("cause", TEXT, "the cause in words"),
        Column("rule", TEXT, "the rule that decided"),
        Column("rules_version", INTEGER, "version of the rules; 0: built-in ones alone"),
        Column("log", TEXT, "the log that told"),
        Column("log_at", INTEGER, "where in the log, in bytes"),
    ),
)
PARAMETERS = TableSchema(
    "parameters",
    "a value that a configuration gives a FHiCL parameter that was asked for",
    (
        Column("configuration", TEXT, "as in `configurations`"),
        Column("parameter", TEXT, "its whole path, such as `physics.producers.hit.threshold`"),
        Column("value", TEXT, "its canonical text; long text by its beginning and digest"),
        Column("number", NUMBER, "its value, if it is a number"),
    ),
    by_month=False,
)
MONTHLY = (JOBS, STEPS, FILES, EDGES, CONFIGURATIONS, MODULES, FAILURES)
TABLES = (*MONTHLY, PARAMETERS)
