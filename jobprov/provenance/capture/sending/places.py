"""The folders that may be the spool."""

import os
from typing import Dict, List

from jobprov.provenance.capture.options import Options

_LAST_RESORT = "/tmp"  # noqa: S108 - a folder of our own in it, used only where it is ours


def possible(options: Options, environment: Dict[str, str]) -> List[str]:
    """Return all folders that may be the spool, as absolute paths, whether they are there or not.

    The one named, the job's scratch, the home, the temporary folder.
    """
    places = [options.spool] if options.spool else []
    scratch, home = environment.get("_CONDOR_SCRATCH_DIR"), environment.get("HOME")
    if scratch and os.path.isdir(scratch):
        places.append(os.path.join(scratch, "jobprov-spool"))
    if home and os.path.isdir(home):
        places.append(os.path.join(home, ".jobprov", "spool"))
    temporary = environment.get("TMPDIR") or _LAST_RESORT
    places.append(os.path.join(temporary, "jobprov-spool-{}".format(os.geteuid())))
    return [os.path.abspath(place) for place in places]
