"""The folders in which a job's files may come and go, followed from before its command on."""

import os
from typing import Iterable, List, Optional

from jobprov.provenance.capture.files import folders
from jobprov.provenance.capture.files.names import is_within
from jobprov.provenance.capture.options import Options
from jobprov.provenance.capture.running.followed import Followed
from jobprov.provenance.capture.running.neighbours import Neighbours
from jobprov.provenance.capture.sight import lying_files, named_folders


class Following:
    """Follows the job's folders, and those that its scripts and variables name.

    Attributes:
        own_folders: absolute paths of folders in which all that is new is the job's.
        skipped: folders of the hook itself: what is written there is not the job's.
        lying: small files that lie in its own folders; see `lying_files`.
        followed: what the kernel follows, or None.
        neighbours: tells of other jobs in its own folders.
        why_incomplete: sentences about what is not followed.
    """

    def __init__(self, options: Options, scripts: Iterable[bytes], skipped: List[str]) -> None:
        self.own_folders, self.skipped = _own_folders(options), skipped
        self.lying = lying_files.hold(self.own_folders)
        self.followed: Optional[Followed] = None
        # a folder of `--watch` may be this job's alone though it lies in one that is not
        watched = filter(os.path.isdir, map(os.path.abspath, options.watch))
        self.neighbours = Neighbours(skipped, [*self.own_folders, *watched])
        self.why_incomplete: List[str] = []
        if not (options.watch or self.own_folders):
            sentence = "others keep files in {}, too: what came there was not seen"
            self.why_incomplete.append(sentence.format(os.getcwd()))
        words = named_folders.words_of_command(options.command)
        words += named_folders.words_of_variables()
        for script in scripts:
            words += named_folders.words_of_script(script, os.environ)
        try:
            storage = named_folders.storage_folders(words, self.own_folders, skipped)
            self.followed = Followed(self.own_folders, skipped, storage)
        except (OSError, AttributeError) as error:  # no inotify, or no more of it
            sentence = "files that came and went were not seen: {}"
            self.why_incomplete.append(sentence.format(error))


def _own_folders(options: Options) -> List[str]:
    """Return the folders in which a job's files are, unless others put theirs there too.

    The working folder, those of `--watch`, and HTCondor's for the job, which may start elsewhere.
    """
    own: List[str] = []
    working_folder = os.getcwd()
    if folders.is_own_start(working_folder):
        own.append(working_folder)
    scratch = os.environ.get("_CONDOR_SCRATCH_DIR", "")
    real = os.path.realpath(scratch)  # a link may lead to the working folder
    is_elsewhere = bool(scratch) and not is_within(os.path.realpath(working_folder), real)
    for named in [*options.watch, *([scratch] if is_elsewhere else ())]:
        folder = os.path.abspath(named)
        if os.path.isdir(folder) and not any(is_within(folder, other) for other in own):
            own.append(folder)
    return own
