"""Outputs that vanish with HTCondor's scratch folder: the submit file does not bring them home.

Only where HTCondor started the hook itself: when a hook within a job script is done, the script may
still move what was made.

Source: HTCondor manual, "Specifying What Files to Transfer": `transfer_output_files` lists what
comes home; without it, that are the new files at the top of the scratch folder, and no folders.
"""

import os
from typing import Any, Dict, Optional

from jobprov.provenance.capture.files.names import is_within
from jobprov.provenance.capture.record.json_objects import ClassAd, Record

_STARTER = "condor_starter"


def mark(record: Record, job_ad: ClassAd, environment: Dict[str, str]) -> None:
    """Give the outputs of a record that stay in the scratch folder the status `not_kept`."""
    named_scratch = environment.get("_CONDOR_SCRATCH_DIR")
    if not named_scratch or job_ad.get("ShouldTransferFiles") != "YES" or not _is_outermost():
        return
    scratch, listed = os.path.realpath(named_scratch), job_ad.get("TransferOutput")
    for output in record.get("outputs", ()):
        is_stored = output.get("location") is not None
        if is_stored or output.get("status") != "written":
            continue
        path = os.path.realpath(output["path"])
        is_there = path.startswith(scratch + os.sep) and os.path.exists(path)
        if is_there and not _comes_home(path, scratch, listed):
            output["status"] = "not_kept"


def _is_outermost() -> bool:
    """Tell whether HTCondor's starter is what started this process."""
    try:
        with open("/proc/{}/comm".format(os.getppid())) as stream:
            return stream.read().strip() == _STARTER
    except OSError:
        return False


def _comes_home(path: str, scratch: str, listed: Optional[Any]) -> bool:
    if not isinstance(listed, str):
        return os.path.dirname(path) == scratch
    for name in listed.split(","):
        if not name.strip():
            continue
        home = os.path.normpath(os.path.join(scratch, name.strip()))
        if is_within(path, home):
            return True
    return False
