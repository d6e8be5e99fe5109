"""`jobprov modules` as an operator types it."""

from typing import Any

import pytest
from click.testing import CliRunner

from jobprov.app.cli import jobprov
from jobprov.provenance.client import Client


def a_source(step: str, share: float) -> dict[str, Any]:
    """Return what is told of the source of a step: art gives it a path and no label."""
    told = {"label": None, "path": "source", "type": "RootInput:source", "step": step}
    return {**told, "share": share, "seconds_per_event": 0.5, "events": 10, "jobs": 2}


def test_modules_of_one_name_are_told_apart_by_their_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    group = {
        "name": "toy v1",
        "jobs": 2,
        "seconds": 10.0,
        "modules": [a_source("smear", 0.6), a_source("select", 0.4)],
    }
    monkeypatch.setattr(
        Client,
        "modules",
        lambda _self, **_query: {"jobs": 2, "comparison": None, "groups": [group]},
    )

    lines = (
        CliRunner().invoke(jobprov, ["modules", "--url", "http://127.0.0.1:1"]).output.splitlines()
    )

    assert [line.split()[:3] for line in lines[-2:]] == [
        ["source", "RootInput:source", "smear"],
        ["source", "RootInput:source", "select"],
    ]
