"""What the tests of the grid need: a real HTCondor."""

import os
import shutil

import pytest


def need_condor() -> None:
    """Skip without HTCondor, loudly; on CI that is an error."""
    if shutil.which("condor_submit", path="/usr/bin:/usr/sbin") is None:
        words = "NO HTCONDOR (Debian package minicondor): no real job runs under a real batch system"
        if os.environ.get("CI") == "true":
            pytest.fail(words)
        pytest.skip(words)
