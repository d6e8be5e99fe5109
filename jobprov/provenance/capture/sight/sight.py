"""What the hook sees of a command by itself, without being told: programs, files read, files made.

It is made when the command has begun, looks while that runs, and is settled after it. Threads of
its own read what programs use, so that a slow file system does not hold up the looks.
"""

import collections
import os
import sys
import threading
import time
from typing import Deque, Dict, List, Optional, Set, Tuple

from jobprov.provenance.capture.files import folders
from jobprov.provenance.capture.files.names import is_url, is_within
from jobprov.provenance.capture.options import Options
from jobprov.provenance.capture.running.background import Background, hash_seconds
from jobprov.provenance.capture.running.children import Child
from jobprov.provenance.capture.running.file_events import FileEvents
from jobprov.provenance.capture.running.made_files import Made
from jobprov.provenance.capture.sight.child_programs import ChildProgram, FileReader
from jobprov.provenance.capture.sight.following import Following
from jobprov.provenance.capture.sight.held_logs import HeldLogs

_FINISH_SECONDS = 5.0
_COPIER_SECONDS = 0.1  # between looks whether a copier has ended
_IDLE_SECONDS = 0.2
_LEAST_SET_BACK = 1.0
_MOST_PROGRAMS, _MOST_WAITING, _MOST_LATEST = 2000, 2000, 20
_MOST_OUTER = 5  # `ifdh cp` runs www_cp.sh, which runs dd
_FIRST_WORDS = 3  # `python3 -u job-end-hook.pyz`


class Sight:
    """Gathers what is seen of one command.

    Attributes:
        own_folders: absolute paths of folders in which all that is new is the job's.
        lying: small files that lay there before the command; see `lying_files`.
        programs: ChildProgram of each program that was read, in the order seen.
        reader: reads files; it knows those that are still to be hashed.
        held_logs: the files that programs print to.
        listed: absolute paths of files that changed in the job's own folders, after `settle`.
        others: folders, links and pipes there, after `settle`.
        new_folders: absolute paths of folders that came meanwhile; None where nobody could see
            them.
        came_and_went: {absolute path: Made} as the kernel reported, after `settle`.
        traced: absolute paths that a trace shows the command to have written.
        written: {key: absolute path} of files that were written; see `written_files`.
        renamed: {absolute path: the next one of the file that was there}; see `file_events`.
        overtaken: {absolute path: how many went from there unseen}; see `file_events`.
        skipped: folders of the hook itself.
        why_incomplete: sentences about what may have been missed.
        why_unplaced: a sentence why the place of a moved file may be unknown, after `settle`.
        is_hurried: whether somebody waits for the end, after `settle`.
        copied_for_others: sources of what a copier ran in its turn, which are no inputs: it has
            the address.
        has_come_elsewhere: set when a file came outside of the job's own folders; None where nobody
            could see that.
    """

    def __init__(
        self,
        options: Options,
        began: float,
        following: Following,
    ) -> None:
        """Begin to read what is reported of the folders that are followed."""
        self.options, self.began = options, began
        self.own_folders, self.skipped = following.own_folders, following.skipped
        self.lying = following.lying
        self.programs: List[ChildProgram] = []
        self.listed: List[str] = []
        self.others: List[str] = []
        self.new_folders: Optional[Set[str]] = None
        self.came_and_went: Dict[str, Made] = {}
        self.traced: Set[str] = set()
        self.written: Dict[Tuple[int, bytes], str] = {}
        self.renamed: Dict[str, str] = {}
        self.overtaken: Dict[str, int] = {}
        self.why_incomplete = list(following.why_incomplete)
        self.why_unplaced: Optional[str] = None
        self.is_hurried = False
        self._neighbours, self._ran_jobs = following.neighbours, False
        self._clock = time.time() - time.monotonic()
        working_folder = os.getcwd()
        self.reader = FileReader(began, working_folder, hash_seconds(options))
        self.copied_for_others: Set[str] = set()
        self.held_logs = HeldLogs()
        self._waiting: Deque[Child] = collections.deque()
        self._latest: Dict[int, ChildProgram] = {}  # by the numbers of their processes
        self._copiers: List[ChildProgram] = []  # those that may still be at work
        self._is_over, self._is_wanted = threading.Event(), threading.Event()
        self._work: Optional[Background] = None
        self._hashing: Optional[Background] = None
        self._events: Optional[FileEvents] = None
        self.has_come_elsewhere: Optional[threading.Event] = None
        if following.followed is not None:
            self._events = FileEvents(following.followed, self._see_who_lives)
            self._events.is_crowded = self._neighbours.were_there
            self.has_come_elsewhere = self._events.has_come_elsewhere
            self._events.read_on()

    def meet(self, child: Child) -> None:
        """Take in a program that was just seen; it is read in another thread."""
        if self._work is None:
            self._work = Background(self._read_programs)
        if len(self._waiting) < _MOST_WAITING:
            self._waiting.append(child)
            self._is_wanted.set()

    def _see_who_lives(self) -> None:
        """Note which steps run while files come: one may end before the next look."""
        steps = [program for program in self.programs[-_MOST_LATEST:] if program.is_step]
        latest = {program.child.process: program.child for program in steps}
        for child in latest.values():
            if os.path.exists(child.folder()):
                child.lives_at(time.time())

    def is_own(self, path: str) -> bool:
        """Tell whether an absolute path lies in one of the job's own folders."""
        return any(is_within(path, folder) for folder in self.own_folders)

    def made(self) -> Set[str]:
        """Return the absolute paths of files that came, and were not there before."""
        return set(self.came_and_went).difference(self.lying)

    def last_name(self, path: str) -> str:
        """Return where a file is, or was last, that was at a path; the path where it stayed."""
        for _ in range(len(self.renamed)):  # names may go in a circle
            if os.path.lexists(path) or path not in self.renamed:
                break
            path = self.renamed[path]
        return path

    def settle(self, seconds_left: float, *, is_hurried: bool) -> None:
        """Finish after the command, once.

        Leave out what takes time where somebody waits for the end.
        """
        if self._is_over.is_set():
            return
        self.is_hurried = is_hurried
        seconds_back = self._clock - (time.time() - time.monotonic())
        if seconds_back > _LEAST_SET_BACK:
            sentence = "the clock was set back by {:.0f} s: files that came then are taken for old"
            self.note(sentence.format(seconds_back))
        self._is_over.set()
        self._is_wanted.set()
        self.reader.stop_hashing(0 if is_hurried else seconds_left)
        seconds = 0 if is_hurried else _FINISH_SECONDS
        if self._work is not None and not self._work.wait(seconds):
            self.why_incomplete.append("not every program could be read in time")
        if self._hashing is not None:
            self._hashing.wait(seconds_left)
        if self._events is not None:
            self._events.close()
            self.came_and_went = dict(self._events.made)
            self.written, self.overtaken = self._events.written, self._events.overtaken
            self.renamed = self._events.renamed
            if self._events.why_incomplete is None:
                self.new_folders = self._events.new_folders
            self.note(self._events.why_incomplete)
            self.why_unplaced = self._events.why_unplaced
            self._events = None
        if not is_hurried:
            listing = folders.Listing(self.own_folders, self.began, self.skipped)
            self.listed, self.others = listing.paths, listing.others
            self.note(listing.why_incomplete)
        self._neighbours.end()
        self._ran_jobs = self._ran_hook()

    def is_crowded(self, path: str) -> bool:
        """Tell whether a file may be another job's, by where it is; after `settle`."""
        return self._neighbours.is_crowded(path) and not self._ran_jobs

    def _ran_hook(self) -> bool:
        """Tell whether the command put the hook around what it ran: those jobs are no others."""
        hook = os.path.basename(sys.argv[0])
        words = [word for program in self.programs for word in program.child.argv[:_FIRST_WORDS]]
        return hook in [os.path.basename(word) for word in words]

    def note(self, sentence: Optional[str]) -> None:
        """Keep a sentence about what may have been missed, if there is one."""
        if sentence is not None:
            self.why_incomplete.append(sentence)

    def _read_programs(self) -> None:
        """Read programs as they come."""
        while self._waiting or not self._is_over.is_set():
            self._is_wanted.clear()
            if self._waiting:
                self._read_program(self._waiting.popleft())
            else:
                self._is_wanted.wait(_COPIER_SECONDS if self._copiers else None)
                self._read_fetched()

    def _read_program(self, child: Child) -> None:
        if len(self.programs) >= _MOST_PROGRAMS:
            return
        self.held_logs.hold(path for path in child.printed_to if self.is_own(path))
        try:
            program = ChildProgram(child, self.options.program, self.reader)
            self._leave_to_outer(program)
            self._latest[child.process] = program
            self.programs.append(program)
            if program.copies:
                self._copiers.append(program)
        except Exception as error:
            self.note("a program was not read: {}: {}".format(type(error).__name__, error))
        self._hash_large_beside()

    def _leave_to_outer(self, program: ChildProgram) -> None:
        """Leave a copy to the copier that runs this one for it.

        That knows where it comes from and where it goes: `ifdh cp` has /pnfs, what it runs has the
        address of a door.
        """
        outer = self._latest.get(program.child.parent)
        for _ in range(_MOST_OUTER):
            if outer is None:
                break
            sources = {copy.source for copy in outer.copies}
            targets = {copy.target for copy in outer.copies}
            for copy in list(program.copies):
                if copy.source in sources or copy.target in targets:
                    program.copies.remove(copy)
                    self.copied_for_others.add(copy.source)
            self.copied_for_others -= sources
            outer = self._latest.get(outer.child.parent)

    def _read_fetched(self) -> None:
        """Read what copiers that have ended fetched: jobs remove their inputs before they end."""
        for program in list(self._copiers):
            if os.path.exists(program.child.folder()):
                continue
            self._copiers.remove(program)
            for copy in program.copies:
                if not (is_url(copy.target) or self.is_own(copy.source)):
                    fetched = self.reader.read(copy.target)
                    copy.file = copy.file or fetched  # what an address had
        self._hash_large_beside()

    def _hash_large_beside(self) -> None:
        if self.reader.large and self._hashing is None:
            self._hashing = Background(self._hash_large)

    def _hash_large(self) -> None:
        """Hash large inputs one after the other, until all are done after the command's end."""
        while self.reader.large or not self._is_over.is_set():
            if self.reader.large:
                self.reader.hash_next()
            else:
                self._is_over.wait(_IDLE_SECONDS)
