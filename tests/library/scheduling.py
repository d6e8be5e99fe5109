"""Which process runs which tests, where several do: `pytest -n 3 --dist loadgroup`."""

import functools
import re
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

_TREE = Path(__file__).parents[2]
_CORES = 2
_LONGEST_FIRST = ("demo", "s3", "grid_workflow", "stacks", "workflow_systems", "hostile_proxy")
"""Groups that take minutes: whichever begins last decides when the tests end."""


class GroupScheduling(LoadScopeScheduling):
    """Keeps the tests of files that name the same `xdist_group` in one process.

    The tests of a file with a fixture of the module stay in one process too: made once, it need not
    be made in each. pytest-xdist's own `loadgroup` (3.8) marks the test's id in a way that pytest
    9.2 no longer sees, and so groups nothing.

    A group with a name waits most of its time: for pools of jobs, stacks of services, time limits.
    Where there are more processes than cores, the last one begins with these groups, and the others
    with all else. Two of them at the same time would leave a core without work.
    """

    _waiting: dict[str, None] | None = None

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", maxsplit=1)[0]
        return group_of(file) or nodeid

    def _assign_work_unit(self, node: WorkerController) -> None:
        if self._waiting is None:
            self._waiting = dict.fromkeys(sorted(filter(is_named, self.workqueue), key=_place))
        if len(self.nodes) > _CORES:
            self.workqueue.move_to_end(self._next_scope(node), last=False)
        self._waiting.pop(next(iter(self.workqueue)), None)
        super()._assign_work_unit(node)

    def _next_scope(self, node: WorkerController) -> str:
        waiting = self._waiting or {}
        if node is self.nodes[-1] and waiting:
            return next(iter(waiting))
        for scope in self.workqueue:
            if scope not in waiting:
                return scope
        return next(iter(waiting))

    def mark_test_complete(
        self, node: WorkerController, item_index: int, duration: float = 0
    ) -> None:
        """Note a test that has ended, and forget its group with its last test.

        xdist counts what is left of all that a process was ever given, after each test: with
        thousands of tests that is a millisecond.
        """
        scope = self._split_scope(self.registered_collections[node][item_index])
        super().mark_test_complete(node, item_index, duration)
        if all(self.assigned_work[node][scope].values()):
            del self.assigned_work[node][scope]


@functools.cache
def group_of(file: str) -> str | None:
    """Return the group of a file of tests, or None.

    It is the first `xdist_group` that the file names, or the file itself if it has a fixture of the
    module.
    """
    content = (_TREE / file).read_text(encoding="utf-8")
    if found := re.search(r'xdist_group\("([\w-]+)"\)', content):
        return found.group(1)
    return file if 'scope="module"' in content else None


def is_named(scope: str) -> bool:
    """Return whether a scope is a group that files name: neither a file nor a test."""
    return ".py" not in scope


def _place(group: str) -> int:
    return _LONGEST_FIRST.index(group) if group in _LONGEST_FIRST else len(_LONGEST_FIRST)
