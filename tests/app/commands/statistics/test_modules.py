"""`jobprov modules` as an operator types it."""

import pytest
from click.testing import CliRunner

from jobprov.app.cli import jobprov
from jobprov.provenance.answers.statistics.modules import ModuleGroup, ModuleShare, ModuleSums
from jobprov.provenance.client import Client


def a_source(step: str, share: float) -> ModuleShare:
    """Return what the source of a step took: art gives it a path and no label."""
    return ModuleShare(
        step=step,
        path="source",
        label=None,
        type="RootInput:source",
        jobs=2,
        events=10,
        seconds=5.0,
        slowest_seconds=None,
        rss_growth_bytes=None,
        seconds_per_event=0.5,
        standard_error=None,
        share=share,
    )


def test_modules_of_one_name_are_told_apart_by_their_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    group = ModuleGroup("toy v1", 2, 10.0, [a_source("smear", 0.6), a_source("select", 0.4)])
    sums = ModuleSums(jobs=2, by="version", groups=[group], comparison=None)
    monkeypatch.setattr(Client, "modules", lambda _self, **_query: sums)

    lines = (
        CliRunner().invoke(jobprov, ["modules", "--url", "http://127.0.0.1:1"]).output.splitlines()
    )

    assert [line.split()[:3] for line in lines[-2:]] == [
        ["source", "RootInput:source", "smear"],
        ["source", "RootInput:source", "select"],
    ]
