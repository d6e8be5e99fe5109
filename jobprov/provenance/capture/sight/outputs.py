"""The outputs of a command that were seen, and what became of those that were named."""

import fnmatch
import os
import re
from typing import Collection, Dict, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from jobprov.provenance.capture.command.step import Step
from jobprov.provenance.capture.files import private
from jobprov.provenance.capture.files.names import as_glob, is_url
from jobprov.provenance.capture.files.stamps import GRANULE_SECONDS
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.record.fields import seconds_of
from jobprov.provenance.capture.running.background import Background
from jobprov.provenance.capture.running.watching import Watch
from jobprov.provenance.capture.running.written_files import key_of
from jobprov.provenance.capture.sight import named_folders, places
from jobprov.provenance.capture.sight.child_programs import Copy
from jobprov.provenance.capture.sight.fetched_folders import CameAndWent
from jobprov.provenance.capture.sight.inputs import files_of_code
from jobprov.provenance.capture.sight.named_folders import is_in_own
from jobprov.provenance.capture.sight.programs import ProgramStep
from jobprov.provenance.capture.sight.sight import Sight

MOST_OUTPUTS, _MOST_LOGS, _MOST_NAMED = 2000, 20, 3
_FOLDER_SECONDS = 2.0
_FIRST_LINE = 100
_MOST_PLACES, _MOST_ENTRIES = 100, 2000
_LONGEST_WORD = 1000
_LATE_SECONDS = 0.5  # by which a program may have ended after it was last seen


class SeenOutputs:
    """Tells which files a command made.

    Attributes:
        logs: {absolute path of a log file, beside the command's own streams: where to read it}.
        staged_in: {path in the job's folder: the copies that brought what lay there, in turn}.
        updated: those of these paths at which the job changed what it had fetched, and stored that.
    """

    def __init__(
        self,
        draft: Draft,
        sight: Sight,
        watch: Optional[Watch],
        step: Step,
        steps: Sequence[ProgramStep],
    ) -> None:
        self._sight, self._watch, self._step, self._steps = sight, watch, step, steps
        self._scripts = _shell_scripts(draft, sight)
        self._read_by_steps = {path for step in steps for path in step.program.sources()}
        self._own_words: Optional[bytes] = None
        self.logs = self._find_logs()
        copies: List[Copy] = []
        renames: List[Tuple[str, str]] = []
        removed: Dict[str, float] = {}
        came = CameAndWent(sight.came_and_went)
        for program in sight.programs:
            if not program.child.exit_code:  # else the copy failed
                copies += program.copies
                copies += came.copies_of(program)
                renames += program.renames
                removed.update(dict.fromkeys(program.removed, program.child.began))
        copies = [copy for copy in copies if not self._is_removed_again(copy, removed)]
        own, further = sight.own_folders, self._find_further_in_time()
        made, written = sight.came_and_went, {**self._find_moved_elsewhere(), **sight.written}
        self._places = places.Places(
            copies, renames, made, own, further, began=sight.began, written=written
        )
        self.staged_in: Dict[str, List[Copy]] = {}
        for path, brought in self._places.staged_in.items():
            self.staged_in.setdefault(sight.last_name(path), []).extend(brought)
        self.updated = {path for path in self.staged_in if self._is_updated(path)}

    def _is_removed_again(self, copy: Copy, removed: Mapping[str, float]) -> bool:
        """Tell whether the job removed from its storage what it had copied there."""
        place = "" if self._sight.is_own(copy.target) else copy.target
        while place:
            if removed.get(place, 0.0) > copy.began:
                return True
            place = place.rpartition("/")[0]  # the folder that it lies in
        return False

    def _is_updated(self, path: str) -> bool:
        """Tell whether what the job stored of a fetched file is another one: input and output."""
        before, made = self.staged_in[path][-1].file, self._places.find(path)
        after = made.file
        if after is None and made.is_moved and made.place:
            after = self._sight.reader.read(made.place)
        if before is None or after is None:
            return False
        if before.sha256 and after.sha256:
            return before.sha256 != after.sha256
        return before.size_bytes != after.size_bytes

    def _find_logs(self) -> Dict[str, str]:
        """Return the log files that came in the job's folders, those of its programs first."""
        paths = [path for program in self._sight.programs for path in program.child.printed_to]
        others = list(self._sight.listed)
        # After a signal there is no listing
        others += filter(os.path.isfile, sorted(self._sight.came_and_went))
        paths += filter(self.is_ours, others)
        told = {os.path.abspath(path) for path in self._sight.options.log}
        logs: Dict[str, str] = {}
        for first in dict.fromkeys(paths):
            path = self._sight.last_name(first)
            is_new = path not in told and path not in logs and len(logs) < _MOST_LOGS
            if is_new and places.is_log(path) and self._sight.is_own(path):
                logs[path] = path if os.path.exists(path) else self._sight.held_logs.place(first)
        return logs

    def earlier(self) -> Dict[str, bytes]:
        """Return what lay in small files before the command, by absolute path."""
        return {path: content for path, (_, content) in self._sight.lying.items()}

    def _find_further_in_time(self) -> List[str]:
        """Return the folders to which the job may have moved a file; none where a disk hangs."""
        work = Background(self._find_further_folders)
        if work.wait(_FOLDER_SECONDS) and work.error is None:
            folders: List[str] = work.result
            return folders
        self._sight.note("folders that the job names could not be looked at")
        return []

    def _find_further_folders(self) -> List[str]:
        """Return the folders to which the job may have moved a file.

        They stand in its words, in those of its programs, or in its variables.
        """
        words = named_folders.words_of_command(self._step.argv)
        for program in self._sight.programs:
            words += program.child.argv
        outputs = self._sight.options.paths("output")
        words += [os.path.abspath(path) for path in outputs if not is_url(path)]
        words += named_folders.words_of_variables()
        for content in self._scripts:
            words += named_folders.words_of_script(content, os.environ)
        folders = further_folders(words, self._sight.own_folders, self._sight.began)
        return [folder for folder in folders if not self._is_left_out(folder + "/")]

    def find(self, draft: Draft, known: Iterable[str]) -> List[places.MadeFile]:
        """Return the files that the command made, but for known ones (absolute paths)."""
        left_out = set(known) | self._find_others(draft)
        started_at = draft.record.get("started_at")
        began = self._sight.began if started_at is None else seconds_of(started_at)
        outputs, doubtful = [], []
        for path in self._find_candidates():
            if path in left_out or self._is_sidecar(path):
                continue
            left_out.add(path)
            file = self._find_file(path, began)
            # `mv out.tmp "$STORE/out.root"`: the last name counts
            if file is None or not places.may_be_output(file.place or path):
                continue
            if not self.is_ours(path):
                if not places.is_log(path):
                    doubtful.append(os.path.basename(path))
                continue
            outputs.append(file)
            if file.place is None and self._sight.why_unplaced is not None:
                draft.weaken("children-unseen", "output " + path, self._sight.why_unplaced)
        self._add_stored(draft, outputs)
        self._tell_folders(draft)
        if doubtful:
            self._tell_doubtful(draft, doubtful)
        if len(outputs) > MOST_OUTPUTS:
            sentence = "only {} of {} files that were made are recorded"
            sentence = sentence.format(MOST_OUTPUTS, len(outputs))
            draft.weaken("children-unseen", "outputs", sentence)
        return outputs[:MOST_OUTPUTS]

    def _add_stored(self, draft: Draft, outputs: List[places.MadeFile]) -> None:
        """Add what was stored from a path at which a loop wrote one file after the other."""
        found = {file.place for file in outputs}
        overtaken = {path: n for path, n in self._sight.overtaken.items() if self.is_ours(path)}
        lost = sum(overtaken.values())
        for path, stored in self._places.find_stored().items():
            for place in stored:
                if place in found or not self.is_ours(path):
                    continue
                lost -= self._sight.is_own(path)
                is_beside = places.is_log(place) or self._is_sidecar(place)
                if places.may_be_output(place) and not is_beside:
                    outputs.append(places.MadeFile(place, place))
        if lost > 0:
            paths = ", ".join(sorted(overtaken)[:_MOST_NAMED])
            sentence = "{} moved away from {} so fast that nobody saw where to".format(lost, paths)
            draft.weaken("children-unseen", "outputs", sentence)

    def _tell_folders(self, draft: Draft) -> None:
        """Tell of programs that ran where nobody saw what came, but for what their words name."""
        for step in self._steps:
            folder = step.program.child.working_directory
            if folder and not self._sight.is_own(folder):
                sentence = "it ran in {}, where what comes is not seen without --watch"
                draft.weaken("children-unseen", step.step.name, sentence.format(folder))

    def _tell_doubtful(self, draft: Draft, names: Sequence[str]) -> None:
        """Tell of files that may be other jobs'; they surely are where the outputs are told."""
        sentence = (
            "other jobs had the folder: nothing shows that this one made {} of its files ({})"
        )
        sentence = sentence.format(len(names), ", ".join(names[:_MOST_NAMED]))
        if self._sight.options.output:
            draft.note(sentence)
        else:
            draft.weaken("children-unseen", "outputs", sentence)

    def is_ours(self, path: str) -> bool:
        """Tell whether a file that came is the job's: where others have the folder, by evidence.

        Its programs held it open for writing, a trace shows it, or their words name it.
        """
        if not self._sight.is_crowded(path):
            return True
        names = [path, *(old for old, new in self._sight.renamed.items() if new == path)]
        return any(self._is_bound(name) for name in names)

    def _is_bound(self, path: str) -> bool:
        if path in self._written() or path in self._sight.traced:
            return True
        if self._own_words is None:
            words = [*named_folders.words_of_command(self._step.argv), *os.environ.values()]
            for program in self._sight.programs:
                words += program.child.argv
            for content in self._scripts:
                words += named_folders.words_of_script(content, os.environ)
            self._own_words = b"\n".join([os.fsencode("\n".join(words)), *self._scripts])
        name = re.escape(os.fsencode(os.path.basename(path)))
        return re.search(rb"(?<![\w.-])" + name + rb"(?![\w-])", self._own_words) is not None

    def _find_file(self, path: str, began: float) -> Optional[places.MadeFile]:
        """Return the output that came at a path; None where it is none, or was scratch.

        What lay there before the job began, and was moved away, is an input. What was removed is an
        output where one program like art handed it to the next.
        """
        if os.path.isfile(path):
            # What keeps an older time was unpacked or copied
            is_made = self._has_changed(path) and _is_written_since(path, self._sight.began)
            return places.MadeFile(path, path) if is_made else None
        moved = self._places.find(path)
        came = self._sight.came_and_went.get(path)
        if came is not None and came.was_there and not _is_written_since(moved.place, began):
            return None
        is_removed = moved.place is None and not moved.is_moved
        if is_removed and path in self._read_by_steps:
            moved.file = self._sight.reader.find(path)
        return None if is_removed and moved.file is None else moved

    def find_move(self, path: str) -> Optional[str]:
        """Return where a file of an earlier step went from its absolute path; else None."""
        came = self._sight.came_and_went.get(path)
        is_gone = came is not None and came.is_moved and not os.path.exists(path)
        return self._places.find(path).place if is_gone else None

    def find_maker(self, path: str) -> Optional[str]:
        """Return the step of the one program that ran when a file came and was written, or None.

        Of a file that came before, it is the one of art that wrote it last.
        What a script moves or copies later keeps these times, whatever its name becomes.
        """
        came = self._sight.came_and_went.get(path)
        if came is None:
            return None
        written_at = os.stat(path).st_mtime if os.path.isfile(path) else came.written_at or 0.0
        makers, writers = [], []
        for each in self._steps:
            child = each.program.child
            if not child.began <= written_at <= child.ended + _LATE_SECONDS:
                continue
            if came.came_at < child.began:
                writers.append(each)
            elif min(came.came_at, written_at) <= child.ended:  # its coming may be told late
                makers.append(each)
        if not makers:  # art makes a file anew that an earlier program left there
            makers = [each for each in writers if each.program.line.is_program]
        return makers[0].step.name if len(makers) == 1 else None

    def find_gone(self, path: str) -> Optional[places.MadeFile]:
        """Return where a named output went that is no longer at its absolute path.

        None where it never came. Its place is None where it came and nobody can tell what became of
        it; what a later program read of it is known all the same.
        """
        for came in self._names_that_came(path):
            made = self._places.find(came)
            if made.place is None and not made.is_moved:
                made.file = self._sight.reader.find(came)
            return made
        return None

    def find_renamed(self, pattern: str) -> List[str]:
        """Return the paths in the job's own folders to which it moved what was named."""
        names = [pattern] if pattern in self._sight.renamed else []
        glob = as_glob(pattern)
        if glob != pattern:
            names = fnmatch.filter(list(self._sight.renamed), glob)
        return [self._sight.last_name(name) for name in names]

    def would_have_seen(self, path: str) -> bool:
        """Tell whether a file at a path, or of a pattern, could not have come unseen."""
        if self._sight.why_incomplete or not self._sight.is_own(os.path.abspath(path)):
            return False
        # One of this name came elsewhere: it was moved, and nobody saw from where
        name = os.path.basename(path)
        came = [*self._sight.listed, *self._sight.came_and_went]
        return not any(os.path.basename(other) == name for other in came)

    def last_basename(self, path: str) -> str:
        """Return the name that a file has, or had last, that was at an absolute path."""
        return os.path.basename(self._sight.last_name(path))

    def find_copies(self, path: str, size_bytes: int) -> Iterable[str]:
        """Return where a file that is still there was copied to, or may have been."""
        return self._places.find_copies(path, size_bytes)

    def find_source(self, place: str) -> Optional[str]:
        """Return the first path of what the job copied to a place, as programs' words tell."""
        return self._places.find_source(place)

    def _names_that_came(self, pattern: str) -> List[str]:
        if pattern in self._sight.came_and_went:
            return [pattern]
        glob = as_glob(pattern)
        return [] if glob == pattern else fnmatch.filter(list(self._sight.came_and_went), glob)

    def _find_candidates(self) -> List[str]:
        """Return what came in the job's folders, and what its programs wrote elsewhere.

        They held it open for writing, a trace shows it, they copied it on, or their words name it
        and it changed since they began.
        """
        paths = dict.fromkeys(self._sight.listed)
        paths.update(dict.fromkeys(sorted(self._sight.came_and_went)))
        elsewhere = dict.fromkeys([*self._written(), *self._sight.traced], self._sight.began)
        for program in self._sight.programs:
            elsewhere.update((path, program.child.began) for path in program.named)
        for path, target in self._places.sent.items():
            if not self._is_left_out(target):
                paths[path] = None
        for path, since in sorted(elsewhere.items()):
            if self._sight.is_own(path) or self._is_input_again(path):
                continue
            if self._is_new_elsewhere(path, since):
                paths[path] = None
        return list(paths)

    def _is_input_again(self, place: str) -> bool:
        """Tell whether the job stored at a place what it had fetched, as it was."""
        source = self._sight.last_name(self._places.find_source(place) or "")
        return source in self.staged_in and source not in self.updated

    def _written(self) -> "Mapping[str, Optional[Tuple[int, bytes]]]":
        return self._watch.files.written if self._watch is not None else {}

    def _find_moved_elsewhere(self) -> Dict[Tuple[int, bytes], str]:
        """Return {key: path} of files that programs wrote elsewhere and that are gone from there.

        `mv $STORE/tmp/gen.root $STORE/GHEP/`: they may have another place there.
        """
        moved = {}
        for path, key in self._written().items():
            if key is not None and not self._sight.is_own(path) and key_of(path) != key:
                moved[key] = path
        return moved

    def _has_changed(self, path: str) -> bool:
        """Tell whether a file changed; a data base may be opened for writing and only read."""
        try:
            return os.stat(path).st_ctime >= self._sight.began - GRANULE_SECONDS
        except OSError:
            return False

    def _is_new_elsewhere(self, path: str, since: float) -> bool:
        if is_url(path) or self._is_left_out(path) or places.is_log(path):
            return False
        try:
            return os.stat(path).st_ctime >= since - GRANULE_SECONDS and os.path.isfile(path)
        except (OSError, ValueError):
            return False

    def _is_left_out(self, path: str) -> bool:
        return named_folders.is_left_out(path, self._sight.own_folders, self._sight.skipped)

    def _find_others(self, draft: Draft) -> Set[str]:
        """Return absolute paths of what came and is no output: code, logs, inputs, databases."""
        others = files_of_code(draft) | set(self.logs) | set(self.staged_in) - self.updated
        others |= places.files_of_own_streams()
        for path in [*self._sight.options.log, *_beside(self._step)]:
            others.add(os.path.abspath(path))
        for entry in self._step.inputs:
            if entry.get("path"):
                others.add(os.path.abspath(entry["path"]))
        outputs: Set[str] = set()
        for step in self._steps:
            others.update(step.program.place(path) for path in _beside(step.step))
            outputs.update(step.program.outputs())
        for step in self._steps:
            for path in set(step.program.sources()) - outputs - self.updated:
                # What another program made is an output of the job all the same. The reader itself
                # seems to have made what a `cp` right before it brought
                if self.find_maker(path) in (None, step.step.name):
                    others.add(path)
        return others

    def _is_sidecar(self, path: str) -> bool:
        """Tell whether a file is the metadata of another file that came."""
        described, end = os.path.splitext(path)
        if end != ".json":
            return False
        return described in self._sight.came_and_went or os.path.exists(described)


def _shell_scripts(draft: Draft, sight: Sight) -> List[bytes]:
    """Return the scripts of the command and of its programs, as far as they are for a shell."""
    scripts = [draft.blobs.get(entry["sha256"]) for entry in draft.record.get("scripts", ())]
    for program in sight.programs:
        scripts += [script.content for script in program.scripts]
    texts = [content for content in scripts if isinstance(content, bytes)]
    return [text for text in texts if b"sh" in text[:_FIRST_LINE].split(b"\n")[0]]


def _is_written_since(place: Optional[str], moment: float) -> bool:
    """Tell whether a file was written since a moment; a move leaves that time as it is."""
    try:
        return place is not None and os.stat(place).st_mtime >= moment - GRANULE_SECONDS
    except OSError:
        return False


def _beside(step: Step) -> List[str]:
    """Return the names of what art writes about itself."""
    return [*step.line.databases, *([step.line.final] if step.line.final else [])]


def further_folders(words: Iterable[str], own_folders: Collection[str], began: float) -> List[str]:
    """Return the folders that words name, by themselves or of a file, but for those of the job.

    Those in them that have changed since the job began are more: a file came there. Not those
    beside the job's own folder, which are other jobs'.
    """
    folders: Dict[str, None] = {}
    known: Set[str] = {*own_folders, "/"}
    for word in words:
        if not word.startswith("/") or "\n" in word or len(word) > _LONGEST_WORD:
            continue
        path = "/" + word.lstrip("/")  # `normpath` leaves two of them
        for folder in (os.path.normpath(path), os.path.normpath(os.path.dirname(path))):
            if folder in known:
                continue
            known.add(folder)
            if not private.is_private(folder) and os.path.isdir(folder):
                folders[folder] = None
                if not any(own.startswith(folder + os.sep) for own in own_folders):
                    folders.update(dict.fromkeys(_changed_below(folder, began)))
    return [folder for folder in folders if not is_in_own(folder, own_folders)]


def _changed_below(folder: str, began: float) -> List[str]:
    """Return the folders in one, the first thousand, to which something came since a moment."""
    changed: List[str] = []
    try:
        with os.scandir(folder) as entries:
            for number, entry in enumerate(entries):
                if number >= _MOST_ENTRIES or len(changed) >= _MOST_PLACES:
                    break
                if entry.is_dir(follow_symlinks=False) and entry.stat().st_mtime >= began:
                    changed.append(entry.path)
    except OSError:
        pass  # gone, or not ours to read
    return changed
