"""A file that is written after a moment does not bear an earlier time."""

import time
from pathlib import Path

from jobprov.provenance.capture.files import stamps


def test_file_written_after_a_moment_is_not_older_than_it(tmp_path: Path) -> None:
    early = []
    for number in range(40):
        time.sleep(0.007)  # into the middle of some tick
        moment = stamps.now()
        path = tmp_path / str(number)
        path.write_text("x")
        if path.stat().st_ctime < moment:
            early.append(moment - path.stat().st_ctime)

    assert not early


def test_moment_is_that_of_other_clocks_but_for_a_tick() -> None:
    before = time.time()
    assert before - stamps.GRANULE_SECONDS <= stamps.now() <= time.time()
