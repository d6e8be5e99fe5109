"""The verdict on a rerun: what `verify.sh --report` writes, and what else is known of the rerun.

Source: verdicts.md, "Levels"; http.md, `POST /jobs/{job_id}/verdicts`.
"""

import msgspec

from jobprov.provenance.bundle.comparison.comparators import OutputRule
from jobprov.provenance.records.job_record import JsonObject


class Comparison(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How one output compared."""

    output: str
    level: str | None = None
    comparator: str | None = None


class PostedVerdict(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A verdict as it is posted.

    Attributes:
        reason: why nothing could be compared, with R0.
        by: `drill` or `prove` where the service or its agent made the rerun.
        plan: the ETag of the bundle.
        missing: the first thing that the rerun lacked, as a sentence.
        unproven: why the rerun says nothing of the recipe: `input-not-here`, `stopped` or
            `not-compared`.
        offers: rules of comparators that would accept the outputs that differ.
    """

    level: str
    revision: int | None = None
    comparisons: list[Comparison] | None = None
    environment_grade: str | None = None
    host: str | None = None
    when: str | None = None
    reason: str | None = None
    by: str | None = None
    plan: str | None = None
    missing: str | None = None
    unproven: str | None = None
    offers: list[OutputRule] | None = None

    def document(self) -> JsonObject:
        """The verdict as JSON, without what is not known."""
        document: JsonObject = msgspec.to_builtins(self)
        return document
