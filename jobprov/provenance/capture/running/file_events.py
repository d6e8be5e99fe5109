"""Files that come and go in the folders of a job while it runs, as the kernel reports them.

A listing at the end cannot show what a job made and moved away. The reports are read as they come,
a moment late, so size and inode are those of a file that is still there by then (`made_files`).

**Where a file went.** A file that lives for milliseconds is gone before anybody can look, so its
inode is not known. But a rename makes two reports, one for each folder, with one cookie. So the
folders to which the job may move its files are followed as well (`followed`): a file that
left the job's folder and came to another one under the same cookie is this job's, there, under
whatever name. The trail goes on where it is renamed there, and ends where it is removed or another
file takes its place.

A folder that the job makes in the storage is followed when it is reported. A file that is moved
there sooner lacks the other half of its move. It is searched for at the end: by its inode, if
anybody saw it in time, and by the handle under which the kernel reported that it was written
(`written_files`, with newer kernels). Nothing is inferred from a time or a name: else it has gone
to an unknown place. If the job had just made a folder of its own, which is gone now, that is the
likely place: such a file is told, and is no output.
"""

import os
import threading
import time
from typing import Callable, Dict, Iterable, List, Optional, Set, Tuple

from jobprov.provenance.capture.files.names import is_within
from jobprov.provenance.capture.running import inotify
from jobprov.provenance.capture.running.background import Background
from jobprov.provenance.capture.running.followed import Followed
from jobprov.provenance.capture.running.made_files import Looks, Made

_MOST_FILES = 20000
# In one look, so that what goes on without end does not hold us
_MOST_ROUNDS, _MOST_LAST_ROUNDS = 64, 1000
_WAIT_SECONDS, _PAUSE_SECONDS = 0.2, 0.005  # so that many reports are read at once
# Without the pause, so that a file that soon moves is seen before; so many at once, and a second
_MOST_QUICK, _QUICK_A_SECOND = 50, 20


class FileEvents:
    """Reads what is reported of the folders that are followed, and follows those made below them.

    Attributes:
        made: {absolute path: Made}, also of files that are gone again.
        new_folders: absolute paths of folders, and pipes, that were made or moved here.
        written: {key: absolute path} of files that were written (see `written_files`), where one of
            them went to an unknown place.
        renamed: {absolute path: the one to which a file was moved from there}, both in the job's own
            folders.
        overtaken: {absolute path: how many went from there to a place where nobody sees them}: a
            file before the next one came there, whereas `made` has the last one alone; or a folder
            into which nobody had looked.
        has_come_elsewhere: set when a file came in a folder that is not the job's own.
    """

    def __init__(self, followed: Followed, notice: Callable[[], None] = lambda: None) -> None:
        """Follow; `notice` is called when something was reported, to see who may have done it."""
        self.made: Dict[str, Made] = {}
        self.new_folders: Set[str] = set()
        self.written: Dict[Tuple[int, bytes], str] = {}
        self.renamed: Dict[str, str] = {}
        self.overtaken: Dict[str, int] = {}
        self.has_come_elsewhere = threading.Event()
        self.is_crowded = False
        self._followed, self._notice = followed, notice
        self._kernel, self._lock, self._storage = followed.kernel, followed.lock, followed.storage
        self._has_unplaced = False
        self._hidden: Dict[str, Made] = {}  # files that count only once they bear another name
        self._stored: Dict[str, Tuple[str, Made]] = {}  # {place: (path in `made`, file)}
        self._moving: Dict[int, Tuple[str, Made]] = {}  # cookie -> old path and file
        self._moving_folders: Dict[int, str] = {}  # cookie -> old path
        # Own folders that came with the last two readings: who moved a file there may have done so
        # before they were followed
        self._just_made: List[str] = []
        self._made_before: List[str] = []
        self._maybe_in: Dict[str, List[str]] = {}  # {path from which a file went: those folders}
        self._looks = Looks()
        self._is_closed = threading.Event()
        self._reading: Optional[Background] = None

    @property
    def why_incomplete(self) -> Optional[str]:
        """A sentence where something may have been missed, else None."""
        return self._followed.why_incomplete

    @property
    def why_unplaced(self) -> Optional[str]:
        """A sentence why the place of a moved file may be unknown, else None."""
        return self._storage.why_incomplete

    def read_on(self) -> None:
        """Read reports as they come, from now on: a script may move a file once it is written."""
        if self._reading is None:
            self._reading = Background(self._read_as_they_come)

    def _read_as_they_come(self) -> None:
        quick, since = float(_MOST_QUICK), time.monotonic()
        try:
            while not self._is_closed.is_set():
                if not self._kernel.wait(_WAIT_SECONDS):
                    continue
                self.read()
                now = time.monotonic()
                quick = min(_MOST_QUICK, quick + (now - since) * _QUICK_A_SECOND)
                since = now
                if quick >= 1:
                    quick -= 1
                else:
                    self._is_closed.wait(_PAUSE_SECONDS)
        finally:
            self._kernel.close()

    def read(self, *, is_last: bool = False) -> None:
        """Take in what happened since the last call."""
        with self._lock:
            if not self._is_closed.is_set():
                self._take_reports(is_last=is_last)

    def _take_reports(self, *, is_last: bool) -> None:
        # The other half of a move may come with the next call
        halves = {*self._moving, *self._moving_folders}
        for _ in range(_MOST_LAST_ROUNDS if is_last else _MOST_ROUNDS):
            waiting = self._kernel.count_waiting()
            self._made_before, self._just_made = self._just_made, []
            for report in self._kernel.read(waiting):
                self._take(*report)
            if waiting:
                self._notice()
            self._looks.settle()
            if not waiting:
                break
            self._looks.look()
        if self._followed.handles is not None:
            self._followed.handles.read()
        for cookie in [*self._moving, *self._moving_folders]:
            if is_last or cookie in halves:
                self._take_half(cookie)

    def close(self) -> None:
        """Follow no more, after what happened last is read."""
        self.read(is_last=True)
        with self._lock:
            if self._followed.handles is not None:
                self.written = self._followed.handles.paths if self._has_unplaced else {}
                self._followed.handles.close()
                self._followed.handles = None
            self._join_halves()
            self._end_with_folders()
            self._is_closed.set()
        if self._reading is None:
            self._kernel.close()

    def _take(self, watch: int, mask: int, cookie: int, name: bytes) -> None:
        if mask & inotify.OVERFLOW:
            self._followed.miss("more files came and went than the system could report")
        elif mask & inotify.ENDED:
            self._followed.folders.pop(watch, None)
            self._storage.followed.pop(watch, None)
        elif watch in self._followed.folders and name:
            path = os.path.join(self._followed.folders[watch], os.fsdecode(name))
            if not mask & inotify.IS_FOLDER:
                self._happened(path, mask, cookie)
            elif not name.startswith(b"."):
                self._happened_to_folder(path, mask, cookie)
        elif watch in self._storage.followed and name:
            folder, levels = self._storage.followed[watch]
            self._storage.count_report()
            path = os.path.join(folder, os.fsdecode(name))
            if mask & inotify.IS_FOLDER:
                self._happened_to_stored_folder(path, levels, mask, cookie)
            else:
                self._happened_in_storage(path, mask, cookie)

    def _happened(self, path: str, mask: int, cookie: int) -> None:
        """Take in what happened to a file in the job's own folder."""
        self._looks.drop(path)
        if self.is_crowded and mask & inotify.CREATED:
            self.has_come_elsewhere.set()
        if mask & (inotify.CREATED | inotify.CLOSED):
            if mask & inotify.CREATED and not _is_hidden(path) and not os.path.isfile(path):
                self.new_folders.add(path)
            self._see(path)
        elif mask & inotify.MOVED_AWAY:
            file = self._files_of(path).pop(path, None)
            was_there = os.path.dirname(path) not in self._followed.new
            self._moving[cookie] = (path, file or Made(was_there=was_there))
            folders = self._made_before + self._just_made
            if folders and len(self._maybe_in) < _MOST_FILES:
                self._maybe_in[path] = folders
        elif mask & inotify.MOVED_HERE:
            origin, file = self._moving.pop(cookie, ("", Made()))
            self._forget_stored(origin, file)
            self._rename(origin, path)
            file.is_moved = file.is_deleted = file.was_there = False
            file.place = None
            self._keep(path, file)
            self._looks.ask(path, file)
        elif mask & inotify.DELETED:
            gone = self._files_of(path).get(path)
            if gone is not None and gone.place is None:
                gone.is_deleted = True

    def _happened_to_folder(self, path: str, mask: int, cookie: int) -> None:
        """Take in what happened to a folder in the job's own."""
        if self._followed.is_skipped(path):
            return
        if mask & inotify.MOVED_AWAY:
            self._moving_folders[cookie] = path
        elif mask & (inotify.CREATED | inotify.MOVED_HERE):
            self.new_folders.add(path)
            origin = self._moving_folders.pop(cookie, None) if cookie else None
            if origin is not None:
                for old in _below(origin, self.made):
                    del self.made[old]  # it is seen anew
                    self._rename(old, path + old[len(origin) :])
            self._followed.follow(path, self._see)
            self._just_made.append(path)

    def _happened_in_storage(self, path: str, mask: int, cookie: int) -> None:
        """Take in what happened to a file elsewhere; most are other jobs'."""
        self._looks.drop(path)
        if mask & inotify.MOVED_HERE and cookie in self._moving:
            self._replace(path)
            origin, file = self._moving.pop(cookie)
            file.move(path)
            self._looks.ask(path, file)
            self._keep(origin, file, is_hidden=False)
            self._stored[path] = (origin, file)
        elif mask & inotify.MOVED_AWAY and path in self._stored:
            self._moving[cookie] = self._stored.pop(path)
        elif mask & (inotify.MOVED_HERE | inotify.DELETED):
            self._replace(path)
        elif mask & inotify.CREATED:
            self.has_come_elsewhere.set()

    def _happened_to_stored_folder(self, path: str, levels: int, mask: int, cookie: int) -> None:
        """Take in what happened to a folder elsewhere."""
        if mask & inotify.MOVED_AWAY and _below(path, self._stored):
            self._moving_folders[cookie] = path
        elif mask & (inotify.CREATED | inotify.MOVED_HERE):
            origin = self._moving_folders.pop(cookie, None) if cookie else None
            if origin is not None and (
                _below(origin, self._stored) or self._was_followed(origin, path)
            ):
                self._move_below(origin, path)
            elif origin is not None:
                self._overtake(origin)
            if levels:
                self._storage.come(path, levels - 1)

    def _take_half(self, cookie: int) -> None:
        """Take in that the other end of a move lies where nothing is followed."""
        self._has_unplaced = True
        if cookie in self._moving:
            path, file = self._moving.pop(cookie)
            file.move(None)
            if path not in self.made and not _is_hidden(path):
                self._keep(path, file)
            elif path in self.made and not file.was_there:
                self._overtake(path)
            return
        folder = self._moving_folders.pop(cookie)
        if folder not in self._followed.folders.values() and not _below(folder, self._stored):
            self._overtake(folder)
        self._move_below(folder, None)

    def _join_halves(self) -> None:
        """Take in where files went whose move had one end alone: into a folder made just before."""
        by_identity: Dict[Tuple[int, int], str] = {}
        for path, file in self.made.items():
            if file.identity is not None and not file.is_moved:
                by_identity[file.identity] = path
        for path, file in list(self.made.items()):
            if not file.is_moved or file.place is not None:
                continue
            if file.identity is None:  # it went before anybody could look at it
                here = self._find_in_new_folder(path)
            else:
                here = by_identity.get(file.identity)
            if here is not None:
                self._rename(path, here)
                self.made[here].came_at = file.came_at
                del self.made[path]  # it has another name now, and is one file

    def _find_in_new_folder(self, path: str) -> Optional[str]:
        """Return the file of the same name in a folder that had just come when one went."""
        for folder in self._maybe_in.get(path, ()):
            here = os.path.join(folder, os.path.basename(path))
            if here in self.made and not self.made[here].is_moved:
                return here
        return None

    def _end_with_folders(self) -> None:
        """Take in which files went away when a folder had just come that is gone as well."""
        for path, folders in self._maybe_in.items():
            file = self.made.get(path)
            is_lost = file is not None and file.is_moved and file.place is None
            if file is None or not is_lost or path in self.renamed:
                continue
            if not any(os.path.isdir(folder) for folder in folders):
                file.end()
                self._overtake(path)

    def _was_followed(self, folder: str, place: str) -> bool:
        """Tell whether a folder that came to a place was followed, not the next of its name."""
        watch = self._kernel.add(place, inotify.MOVED_HERE | inotify.FURTHER)
        if watch < 0:  # it went on
            return folder in self._followed.folders.values()
        if watch not in self._followed.folders and watch not in self._storage.followed:
            self._kernel.remove(watch)
        return self._followed.folders.get(watch) == folder

    def _move_below(self, folder: str, target: Optional[str]) -> None:
        """Take in that a folder went as a whole, to a target or nobody knows where."""
        for path in _below(folder, self._looks.paths()):
            self._looks.drop(path)
        for path in _below(folder, self.made):
            self._move_to(path, self.made[path], folder, path, target)
        for place in _below(folder, self._stored):
            path, file = self._stored.pop(place)
            self._move_to(path, file, folder, place, target)
        if self._followed.handles is not None:
            self._followed.handles.read()
            self._followed.handles.forget(folder)
        for watch in [
            watch for watch, path in self._followed.folders.items() if is_within(path, folder)
        ]:
            del self._followed.folders[watch]
            self._kernel.remove(watch)
        for watch, (path, _) in list(self._storage.followed.items()):
            if is_within(path, folder):
                self._storage.forget(watch)

    def _move_to(
        self, path: str, file: Made, folder: str, place: str, target: Optional[str]
    ) -> None:
        """Take in that a file of ours went with its folder."""
        if file.is_deleted:
            return
        new_place = None if target is None else target + place[len(folder) :]
        file.move(new_place)
        if new_place is not None:
            self._looks.ask(new_place, file)
            self._stored[new_place] = (path, file)

    def _replace(self, place: str) -> None:
        """Take in that what is stored at a place is ours no more, if it was."""
        if place in self._stored:
            self._stored.pop(place)[1].end()

    def _forget_stored(self, origin: str, file: Made) -> None:
        """Take in that a file came back from the storage under another name."""
        if file.place is not None and self.made.get(origin) is file:
            del self.made[origin]

    def _see(self, path: str) -> None:
        if os.path.islink(path):
            return  # what it leads to counts by itself
        file = self._files_of(path).get(path)
        if file is None or file.is_moved or file.is_deleted:
            file = Made()
        self._keep(path, file)
        file.size_bytes = None  # where it is gone already, nobody knows how large it became
        self._looks.ask(path, file)

    def _keep(self, path: str, file: Made, *, is_hidden: Optional[bool] = None) -> None:
        files = self._files_of(path) if is_hidden is None else self.made
        before = files.get(path)
        if before is None and len(files) >= _MOST_FILES:
            self._followed.miss("more than {} files came and went".format(_MOST_FILES))
            return
        files[path] = file
        if before is None or before is file or not before.is_moved:
            return
        # A loop that stores one file after the other from one path
        if before.place is None:
            self._overtake(path)
        else:
            files[before.place] = before
            self._stored[before.place] = (before.place, before)

    def _rename(self, origin: str, path: str) -> None:
        """Take in that a file has another name in the job's own folders now."""
        if origin and len(self.renamed) < _MOST_FILES:
            self.renamed[origin] = path

    def _overtake(self, path: str) -> None:
        """Take in that what was at a path is not in `made`, and that nobody knows where it is."""
        if path in self.overtaken or len(self.overtaken) < _MOST_FILES:
            self.overtaken[path] = self.overtaken.get(path, 0) + 1

    def _files_of(self, path: str) -> Dict[str, Made]:
        return self._hidden if _is_hidden(path) else self.made


def _is_hidden(path: str) -> bool:
    return os.path.basename(path).startswith(".")


def _below(folder: str, paths: Iterable[str]) -> List[str]:
    """Return the paths that lie below a folder."""
    return [path for path in paths if path.startswith(folder + os.sep)]
