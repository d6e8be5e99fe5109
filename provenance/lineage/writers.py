"""The job behind a file that no recorded job made, as far as one is known.

A job that did not succeed makes nothing unless somebody surely read it (record.md, "Files and
edges"); and a file that was read under other checksums than those of the one that was made is
another version of it.
"""

from dataclasses import dataclass
from typing import Any

_ENDED = {
    "failed": "failed",
    "killed": "was killed",
    "lost": "was lost",
    "running": "has not ended",
}


@dataclass(frozen=True, slots=True)
class Writer:
    """A job that wrote a file of this name, and did not make it.

    Attributes:
        label: what people call the job, the batch id where there is one.
        state: how it ended.
        url: its page.
        is_other_version: it made another version, of other checksums or another size; else it did
            not succeed.
    """

    job_id: str
    label: str
    state: str
    url: str
    is_other_version: bool = False

    def to_json(self) -> dict[str, Any]:
        """The member `writer` of a node."""
        return {
            "job_id": self.job_id,
            "label": self.label,
            "state": self.state,
            "url": self.url,
            "is_other_version": self.is_other_version,
        }

    def briefly(self) -> str:
        """What to say of the file in a box of a picture."""
        return "another version than made" if self.is_other_version else f"of a {self.state} job"

    def fully(self) -> str:
        """What to say of the file in a sentence."""
        if self.is_other_version:
            return f"another version than job {self.label} made"
        return f"written by job {self.label}, which {ended(self.state)}: it counts as not made"


def ended(state: str) -> str:
    """How a job ended that did not succeed, as a verb."""
    return _ENDED.get(state, "did not succeed")
