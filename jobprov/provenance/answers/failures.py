"""Answers about jobs that failed: why, where, and by which rules."""

from typing import TYPE_CHECKING, Literal

from msgspec import Struct, field

from jobprov.provenance.answers.counted import CountedAt
from jobprov.provenance.answers.notebooks import dataframe
from jobprov.provenance.records.job_record import JsonObject

if TYPE_CHECKING:
    import pandas as pd


class LogLine(Struct, frozen=True):
    """A line of a job's log: the log's name, and the byte at which the line begins."""

    name: str
    at: int | None


class FailureCause(Struct, frozen=True):
    """Failures of one cause.

    Attributes:
        by: the part of the facet that causes are split by; None without one, or where a job does
            not say it.
        state, failed_step, exit_code, signal, error_class: how the jobs ended; None where they do
            not say, or not the same.
        cause, cause_id: what the jobs have in common, in words and as the filter of jobs; None
            where the failures were not read yet.
        class_name, words, advice, transient, rule: what the rules of triage make of it, and whether
            trying again may help; None where no rule matches. Where several rules fit, `words`
            are of the newest job and say so, and no advice is given.
        count: how many jobs.
        last_day, day_before: how many of them in the last 24 hours, and in the 24 hours before.
        first_at, last_at: when the first and the newest ended.
        message, example, url, log: of the newest job its message, id, page, and the line of its log
            that matched.
    """

    by: str | None
    state: str | None
    failed_step: str | None
    exit_code: int | None
    signal: int | None
    error_class: str | None
    cause: str | None
    cause_id: str | None
    class_name: str | None = field(name="class")
    words: str | None
    advice: str | None
    transient: bool | None
    rule: str | None
    count: int
    hosts: int
    sites: int
    last_day: int
    day_before: int
    first_at: str
    last_at: str
    message: str | None
    example: str
    url: str
    log: LogLine | None


class Outlier(Struct, frozen=True):
    """A host or site that fails more often than chance allows.

    Attributes:
        jobs, failures: its jobs that are over, and how many of them failed.
        rate: failures a job here, from 0 to 1.
        rate_elsewhere: the same at all other places together.
        p_value: the probability of so many failures, or more, by chance alone.
    """

    kind: Literal["site", "host"]
    name: str
    jobs: int
    failures: int
    rate: float
    rate_elsewhere: float
    p_value: float


class ErrorCounts(CountedAt, frozen=True):
    """Why jobs failed, and where more than by chance.

    Attributes:
        jobs, failures: jobs that are over, and how many of them failed.
        cause_count: how many causes there are; `causes` has the first 200.
    """

    jobs: int
    failures: int
    cause_count: int
    causes: list[FailureCause]
    outliers: list[Outlier]

    def to_dataframe(self) -> "pd.DataFrame":
        """Return the causes as a table, one row each.

        Raises:
            NotFoundError: pandas is not installed.
        """
        return dataframe(self.causes)


class RulesDeclared(Struct, frozen=True):
    """Which version the declared rules are; `is_new` is False if they were the same as before."""

    experiment: str
    version: int
    is_new: bool


class RulesReapplied(Struct, frozen=True):
    """Failures that are being read again: by which version of the rules, and how many."""

    experiment: str
    version: int
    jobs: int


class RulesVersion(Struct, frozen=True):
    """A version of an experiment's rules: who changed them and why, and who sent that when.

    Attributes:
        submitter: None where no token was needed.
    """

    version: int
    who: str
    why: str
    created_at: str
    submitter: str | None
    rule_count: int


class ExperimentRules(Struct, frozen=True):
    """One version of the rules of an experiment, and the list of all versions.

    Attributes:
        version: 0 where the experiment has no rules of its own.
        rules: as they were declared, in the order in which they are tried.
        who, why: who changed them, and the reason; None without rules.
        built_in: the rules that are tried after these.
        versions: the newest first.
    """

    experiment: str
    version: int
    rules: list[JsonObject]
    who: str | None
    why: str | None
    built_in: list[JsonObject]
    versions: list[RulesVersion]
