"""The processes that a command starts, as looks at /proc show them from outside.

Looks come 25 times a second, so that a process of 50 ms or more is seen at least once. One that was
just born is described at the look after, 20 ms later: until then it may be a shell's copy that has
not become its program yet, and most such processes are over by then, at no further cost.

Sources: proc(5): `PID/task/TID/children`, `PID/stat`, `cmdline`, `cwd`, `fd` and `environ`. A
process that has ended and is not yet waited for (a zombie) shows its exit status in `stat`.
"""

import os
import time
from typing import Dict, Iterator, List, Optional, Set, Tuple

from jobprov.provenance.capture.files.names import is_within
from jobprov.provenance.capture.running import mounts

LOOK_SECONDS = 0.04
_YOUNG_SECONDS, _SOON_SECONDS = 0.02, 0.02
_LONGEST_PAUSE = 0.5  # a machine under load may halt us for some time; more is said
_SETTLING_SECONDS, _AGAIN_SECONDS = 0.5, 1.0  # a process may become another program (exec)
_MOST_ALIVE, _MOST_TASKS, _FEW = 500, 64, 8
_MOST_CHILDREN, _MOST_WORD_BYTES, _MOST_COMMAND_BYTES = 10000, 1 << 20, 64 << 10
_MOST_ENVIRONMENT_BYTES = 1 << 20
_SINGLE_THREADED = 3  # links of the folder `task`: `.`, `..` of it, and one thread's
_STATE, PARENT, _USER_TICKS, _SYSTEM_TICKS, STARTED, _STATUS = 0, 1, 11, 12, 19, 49
_SIGNALLED = 128  # what shells add to a signal's number


class Child:
    """One program that a process below the command ran.

    Attributes:
        process, parent: their numbers.
        began, ended: seconds since 1970; when it was first and last seen, where /proc has no
            better.
        argv, working_directory: as at the last look that found them.
        inside_folder: the working directory as a program in a container has it; else empty.
        cpu_seconds: of the process, without its own children.
        exit_code: as a shell shows it; None where its parent took it before a look did.
        printed_to: files that its standard output and error lead to.
        program: absolute path of the file that runs; empty where that cannot be told.
        fhicl_file_path, search_path: its variables FHICL_FILE_PATH and PATH; None where it has
            none.
        read_at, measured_at: when its command line and its CPU time were read last.
    """

    __slots__ = (
        "argv",
        "began",
        "cpu_seconds",
        "ended",
        "exit_code",
        "fhicl_file_path",
        "inside_folder",
        "measured_at",
        "parent",
        "printed_to",
        "process",
        "program",
        "read_at",
        "search_path",
        "working_directory",
    )

    def __init__(self, process: int, parent: int, began: float) -> None:
        self.process, self.parent = process, parent
        self.began = self.ended = began
        self.argv: List[str] = []
        self.working_directory = self.inside_folder = ""
        self.cpu_seconds = 0.0
        self.exit_code: Optional[int] = None
        self.printed_to: List[str] = []
        self.program = ""
        self.fhicl_file_path: Optional[str] = None
        self.search_path: Optional[str] = None
        self.read_at = self.measured_at = 0.0

    def folder(self) -> str:
        """Return its folder below /proc."""
        return "/proc/{}".format(self.process)

    def lives_at(self, moment: float) -> None:
        """Take in that it was seen; another thread may have seen it later."""
        self.ended = max(self.ended, moment)

    def here(self, path: str) -> str:
        """Return an absolute path of the program's as the hook sees the file; see `mounts`."""
        if not self.inside_folder:
            return path
        if is_within(path, self.inside_folder):
            return self.working_directory + path[len(self.inside_folder) :]
        return mounts.seen_here(self.process, path)


class Children:
    """All that was seen of a command and of the processes below it.

    Attributes:
        seen: every Child, in the order seen; the command itself is the first.
        alive: numbers of the processes of the last look, the command's included.
        was_late: whether the command had ended before anybody could look.
        why_incomplete: a sentence where something may have been missed, else None.
    """

    def __init__(self, process: int) -> None:
        self.seen: List[Child] = []
        self.alive: List[int] = []
        self.why_incomplete: Optional[str] = None
        self._root = process
        self._known: Dict[int, Child] = {}
        self._young: Dict[int, int] = {}  # process -> parent
        self._was_soon = False
        self._word_bytes = 0
        self._tick = float(os.sysconf("SC_CLK_TCK"))
        self._boot = time.time() - _seconds_since_boot()
        fields = read_stat(process)
        self._last_look = time.time() if fields is None else self._began(fields)
        self.was_late = fields is None
        if fields is not None and not os.path.exists("/proc/{0}/task/{0}/children".format(process)):
            self._miss("this system does not tell which processes a process started")

    def pause(self, cost_seconds: float, share: float) -> float:
        """Return the seconds until the next look.

        They are more where looks would take more than a share of one core.
        """
        usual = _SOON_SECONDS if self._young or self._was_soon else LOOK_SECONDS
        return max(usual, cost_seconds / share)

    def look(self, moment: float) -> List[Child]:
        """Look once, at a moment of `time.time()`; return the programs that are new."""
        self._check_pause(moment)
        young, self._young = self._young, {}
        self._was_soon = bool(young)
        programs = self._look_at(young, moment) if young else self._look_at_all(moment)
        for program in programs:
            self._keep(program)
        return programs

    def _look_at_all(self, moment: float) -> List[Child]:
        programs: List[Child] = []
        news: Dict[int, int] = {}
        self.alive = []
        for process, parent in self._walk():
            self.alive.append(process)
            child = self._known.get(process)
            if child is None:
                news[process] = parent
                continue
            successor = self._follow(child, moment)
            if successor is not None:
                programs.append(successor)
        for process in set(self._known).difference(self.alive):
            del self._known[process]  # the system gives its number again
        return programs + self._look_at(news, moment, may_wait=True)

    def _look_at(
        self, processes: Dict[int, int], moment: float, *, may_wait: bool = False
    ) -> List[Child]:
        """Return what processes run that are seen for the first time: {process: parent}.

        Where that may wait, those that were just born are left to the next look.
        """
        programs: List[Child] = []
        for process, parent in processes.items():
            fields = read_stat(process)
            if fields is None:
                continue  # it has ended
            began = min(moment, self._began(fields))
            if may_wait and moment - began < _YOUNG_SECONDS:
                self._young[process] = parent
                continue
            child = Child(process, parent, began)
            self._take_usage(child, fields, moment)
            if _read_program(child, moment):
                programs.append(child)
        return programs

    def _check_pause(self, moment: float) -> None:
        """Note a pause in which a process could come and go; a machine may halt us for a moment."""
        pause = moment - self._last_look
        if pause > _LONGEST_PAUSE:
            self._miss("the hook was halted for {:.1f} s, as on a busy node".format(pause))
        self._last_look = moment

    def _walk(self) -> Iterator[Tuple[int, int]]:
        """Yield (process, parent) of all that run now, parents first.

        A process whose parent has ended is no longer below the command: it is looked up by itself.
        """
        found: Set[int] = set()
        waiting = [(self._root, 0)]
        orphans = list(self._known.values())
        while waiting or orphans:
            if not waiting:
                orphan = orphans.pop()
                if orphan.process in found or not os.path.exists(orphan.folder()):
                    continue
                waiting.append((orphan.process, orphan.parent))
            process, parent = waiting.pop()
            found.add(process)
            if len(found) > _MOST_ALIVE:
                self._miss("more than {} processes ran at once".format(_MOST_ALIVE))
                return
            yield process, parent
            waiting += [(number, process) for number in _started_by(process)]

    def _follow(self, child: Child, moment: float) -> Optional[Child]:
        """Look again at a known process; return what it runs now, where that is another program.

        A process may become another program at any time (exec). Where few run, each look asks for
        that, else only about young ones.
        """
        child.lives_at(moment)
        is_settled = moment - child.began > _SETTLING_SECONDS and len(self._known) > _FEW
        if is_settled and moment - child.read_at < _AGAIN_SECONDS:
            return None
        if moment - child.measured_at >= _AGAIN_SECONDS:
            self._measure(child, moment)
        child.read_at = moment
        argv = _command_line(child.process)
        if argv == child.argv:
            return None
        if not argv:  # it has ended, and nobody has asked for its exit code yet
            self._measure(child, moment)
            return None
        successor = Child(child.process, child.parent, moment)
        return successor if _read_program(successor, moment) else None

    def _measure(self, child: Child, moment: float) -> None:
        fields = read_stat(child.process)
        if fields is not None:
            self._take_usage(child, fields, moment)

    def _began(self, fields: List[bytes]) -> float:
        """Return when a process began, in seconds since 1970, to 10 ms."""
        return self._boot + int(fields[STARTED]) / self._tick

    def _take_usage(self, child: Child, fields: List[bytes], moment: float) -> None:
        child.measured_at = moment
        child.lives_at(moment)
        child.cpu_seconds = (int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS])) / self._tick
        if fields[_STATE] == b"Z" and len(fields) > _STATUS:
            child.exit_code = _shown(int(fields[_STATUS]))

    def _keep(self, child: Child) -> None:
        self._known[child.process] = child
        self._word_bytes += sum(len(word) for word in child.argv)
        if len(self.seen) < _MOST_CHILDREN and self._word_bytes < _MOST_WORD_BYTES:
            self.seen.append(child)
        else:
            self._miss("more than {} processes ran".format(len(self.seen)))

    def _miss(self, why: str) -> None:
        self.why_incomplete = self.why_incomplete or why


def _read_program(child: Child, moment: float) -> bool:
    """Read what a process runs, where, and to which files it prints; tell whether it is there."""
    child.argv, child.read_at = _command_line(child.process), moment
    if not child.argv:
        return False
    child.working_directory = _target(child.folder() + "/cwd")
    if mounts.has_own_mounts(child.process):
        inside = child.working_directory
        child.working_directory = mounts.seen_here(child.process, inside)
        child.inside_folder = inside
    child.program = child.here(_target(child.folder() + "/exe"))
    variables = read_environment(child)
    child.fhicl_file_path = variables.get("FHICL_FILE_PATH")
    child.search_path = variables.get("PATH")
    for number in (1, 2):
        path = child.here(_target("{}/fd/{}".format(child.folder(), number)))
        if path not in child.printed_to and os.path.isfile(path):
            child.printed_to.append(path)
    return True


def read_environment(child: Child) -> Dict[str, str]:
    """Return the variables of a program that runs; none of one that has ended."""
    variables: Dict[str, str] = {}
    for line in _read(child.folder() + "/environ", _MOST_ENVIRONMENT_BYTES).split(b"\0"):
        name, _, value = os.fsdecode(line).partition("=")
        variables[name] = value
    return variables


def _started_by(process: int) -> List[int]:
    """Return the numbers of the processes that a process started and that have not ended."""
    folder = "/proc/{}/task".format(process)
    numbers: List[int] = []
    try:
        tasks = [str(process)]
        if os.stat(folder).st_nlink > _SINGLE_THREADED:
            tasks = os.listdir(folder)[:_MOST_TASKS]
        for task in tasks:
            with open("{}/{}/children".format(folder, task), "rb", buffering=0) as stream:
                numbers += [int(number) for number in (stream.read() or b"").split()]
    except (OSError, ValueError):
        pass  # it has just ended
    return numbers


def read_stat(process: int) -> Optional[List[bytes]]:
    """Return the fields of /proc/PID/stat after the program's name; None where it is gone."""
    fields = _read("/proc/{}/stat".format(process), 4096).rpartition(b")")[2].split()
    return fields if len(fields) > STARTED else None


def _command_line(process: int) -> List[str]:
    """Return a command line, cut after 64 KiB; [] where it is gone, or a zombie."""
    content = _read("/proc/{}/cmdline".format(process), _MOST_COMMAND_BYTES)
    return [os.fsdecode(word) for word in content.rstrip(b"\0").split(b"\0")] if content else []


def _target(link: str) -> str:
    """Return where a link below /proc leads; empty where that cannot be told."""
    try:
        return os.readlink(link)
    except OSError:
        return ""


def _read(path: str, most: int) -> bytes:
    try:
        with open(path, "rb", buffering=0) as stream:
            return stream.read(most) or b""
    except OSError:
        return b""


def _shown(status: int) -> int:
    """Return what a shell shows of a status as wait(2) gives it."""
    if os.WIFSIGNALED(status):
        return _SIGNALLED + os.WTERMSIG(status)
    return os.WEXITSTATUS(status)


def _seconds_since_boot() -> float:
    """Return the clock by which /proc dates starts; /proc/uptime may be a container's own."""
    if hasattr(time, "CLOCK_BOOTTIME"):  # Python 3.7
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return float(_read("/proc/uptime", 64).split()[0])
