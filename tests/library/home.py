"""A home folder for the tests of a run: empty at first, and gone with the run.

What somebody keeps at home changes what programs do: settings that a job may have read, a hook that
was built before, the configuration of git. And nothing that the tests start may write there.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_MARK = "JOBPROV_TESTS_HOME"
_CONFIGURATIONS = {
    "PYENV_ROOT": ".pyenv",
    "PIP_CONFIG_FILE": ".config/pip/pip.conf",
    "NPM_CONFIG_USERCONFIG": ".npmrc",
}
"""Where interpreters and packages come from is the machine's affair."""
_ELSEWHERE = (
    "GIT_CONFIG_GLOBAL",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
)
"""Where somebody may keep things instead of at home."""


def leave_home() -> None:
    """Have this process and all that it starts live in an empty home, which workers share."""
    if _MARK in os.environ:
        return
    for variable, name in _CONFIGURATIONS.items():
        if (place := Path.home() / name).exists():
            os.environ.setdefault(variable, str(place))
    for variable in _ELSEWHERE:
        os.environ.pop(variable, None)
    # on disk: the hook passes over files in memory, as jobs keep none there
    folder = tempfile.mkdtemp(prefix="jobprov-home-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["HOME"] = os.environ[_MARK] = folder
