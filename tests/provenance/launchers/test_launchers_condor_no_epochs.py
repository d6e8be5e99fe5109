"""HTCondor's own condor_history where JOB_EPOCH_HISTORY is not defined, as by default."""

from io import BytesIO
from pathlib import Path

import pytest

from jobprov.app.commands.orders.witness import Window, _ask, _ask_ended, _sentences
from jobprov.provenance.db.witness_state import WitnessState
from jobprov.provenance.errors import UnreachableError
from jobprov.provenance.launchers.condor.attempts import Collection
from jobprov.provenance.launchers.condor.tools import (
    NoEpochHistoryError,
    _last_error,
    ask_condor,
)
from jobprov.provenance.services.agents.witness import Report
from tests.library.grid.pool import PATH, need_condor


@pytest.fixture(autouse=True)
def _condor_without_epochs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Configure a machine that has a history, and neither epochs nor a schedd that runs."""
    need_condor()
    config = tmp_path / "condor_config"
    (tmp_path / "history").touch()
    config.write_text(f"LOG = {tmp_path}\nSPOOL = {tmp_path}\nHISTORY = {tmp_path}/history\n")
    monkeypatch.setenv("CONDOR_CONFIG", str(config))
    monkeypatch.setenv("PATH", PATH)


def test_missing_epochs_are_told_apart_from_a_tool_that_fails() -> None:
    with pytest.raises(NoEpochHistoryError):
        list(ask_condor("epochs", 0))
    assert list(ask_condor("history", 0)) == []


def test_the_witness_goes_on_with_history_and_queue_and_says_what_is_missing(
    tmp_path: Path,
) -> None:
    collection = Collection()
    with (
        WitnessState(tmp_path / "witness.db") as state,
        pytest.raises(UnreachableError, match="condor_q"),  # the last of three: no schedd runs here
    ):
        _ask_ended(collection, state, Window(), 1_800_000_000)

    assert not collection.has_epochs
    assert "JOB_EPOCH_HISTORY" in _sentences(Report(), collection)


def test_the_witness_tells_no_ends_where_nobody_says_what_runs(tmp_path: Path) -> None:
    collection = Collection()
    with (
        WitnessState(tmp_path / "witness.db") as state,
        pytest.raises(UnreachableError, match="condor_q"),
    ):
        _ask(collection, state, Window(), 1_800_000_000)

    assert collection == Collection()


def test_schedd_that_does_not_run_is_told_by_what_is_likely_and_not_by_the_last_line() -> None:
    """As condor_q 23.9 prints it: the last line is the end of a sentence about the manual."""
    printed = (
        "Error: (null)\n\nExtra Info: You probably saw this error because the condor_schedd is not \n"
        "running on the machine you are trying to query. If the condor_schedd is not\nrunning, ...\n"
        "manual for details on SCHEDD_NAME and SCHEDD_ADDRESS_FILE.\n"
    )

    reason = _last_error(BytesIO(printed.encode()))

    assert reason == (
        "You probably saw this error because the condor_schedd is not running on the machine you "
        "are trying to query"
    )
