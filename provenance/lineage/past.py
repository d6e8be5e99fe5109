"""When a graph was known so: what a view of the past can tell of itself."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Past:
    """The moment at which a graph was known so, and what of it is told as it is today.

    Attributes:
        as_of: aware UTC.
        changed_jobs: ids of jobs, at most a hundred, of which a correction or another witness's
            record came later.
        relinked_files: names of files, at most a hundred, that another job claimed or a catalog saw
            later, of which a job that made them said more later, or whose makers what later jobs
            read tells otherwise: what they are linked to may have been found out since.
    """

    as_of: datetime
    changed_jobs: tuple[str, ...] = ()
    changed_count: int = 0
    relinked_files: tuple[str, ...] = ()
    relinked_count: int = 0

    @property
    def is_exact(self) -> bool:
        """Whether nothing is known to have changed since."""
        return not self.changed_count and not self.relinked_count

    def to_json(self) -> dict[str, Any]:
        """The object under `past` of the lineage call."""
        return {
            "as_of": utc_text(self.as_of),
            "is_exact": self.is_exact,
            "changed_jobs": list(self.changed_jobs),
            "changed_count": self.changed_count,
            "relinked_files": list(self.relinked_files),
            "relinked_count": self.relinked_count,
        }


def utc_text(moment: datetime) -> str:
    """A time as RFC 3339 in UTC with `Z`, to the second."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
