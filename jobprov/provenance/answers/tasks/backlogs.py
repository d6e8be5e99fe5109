"""What is left of a campaign or a task, and when it may be gone. Times are ISO 8601."""

from msgspec import Struct


class BurnDown(Struct, frozen=True):
    """How many units of a campaign or a task were not done yet, over the last days.

    A unit that was done twice counts twice on the way, so that what lies back is about so many; the
    last number is what is missing now.

    Attributes:
        start: when the first step begins; each has `step_seconds`.
        expected: units of the task, or of the stages whose tasks were all declared.
        left: not done at the end of each step, those that were waived left out. The units of a task
            count from when it was declared, or its first job began.
        is_whole: whether these are all stages; true of a task.
        done: done within each step; empty where the service is of 0.1.0.
    """

    start: str
    step_seconds: int
    expected: int
    left: list[int]
    is_whole: bool
    done: list[int] = []

    def left_before(self, place: int) -> int:
        """Return how many were not done when a step began, or were declared within it."""
        done = self.done[place] if self.done else 0
        return min(self.expected, self.left[place] + done)

    def most(self) -> int:
        """Return the most that were left at a time, since anything was."""
        return max(self.left_before(self.first_step()), *self.left)

    def first_step(self) -> int:
        """Return the first step in which anything was left or done; 0 where there is none."""
        for place, left in enumerate(self.left):
            if left or (self.done and self.done[place]):
                return place
        return 0


class Backlog(Struct, frozen=True):
    """What is left of a campaign or a task: how it became less, and when it may be gone.

    Attributes:
        burn_down: how many units were left over the last days.
        stays: how many of those left now wait for somebody; the estimate leaves them out.
        ends_at, ends_at_low, ends_at_high: when all others may be done: expected, earliest and
            latest, as of `seconds_left`; None where there is no estimate.
    """

    burn_down: BurnDown
    stays: int
    ends_at: str | None
    ends_at_low: str | None
    ends_at_high: str | None
