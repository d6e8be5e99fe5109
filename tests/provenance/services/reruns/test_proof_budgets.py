"""Budgets of proofs, as an operator writes them."""

from datetime import timedelta
from pathlib import Path

import pytest

from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.reruns.proof_budgets import (
    BudgetSection,
    ProofBudget,
    read_budgets,
)

TEXT = """
[default]
jobs = 5
memory_gib = 0.5
input_dirs = ["/exp/data"]

[sbnd]
jobs = 400
again_after_days = 2
"""


def test_sections_fill_each_other_and_options_stand_over_them(tmp_path: Path) -> None:
    file = tmp_path / "budgets.toml"
    file.write_text(TEXT)
    budgets = read_budgets(file)
    over = budgets.over(BudgetSection(seconds=7.0))

    assert budgets.standard == ProofBudget(
        jobs=5, memory_bytes=1 << 29, input_dirs=(Path("/exp/data"),)
    )
    assert budgets.by_experiment["sbnd"] == budgets.standard._replace(
        jobs=400, again_after=timedelta(days=2)
    )
    assert (over.standard.seconds, over.by_experiment["sbnd"].seconds) == (7.0, 7.0)
    assert read_budgets(None).standard == ProofBudget()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[sbnd]\njob = 4", "[sbnd]: job: there is no such field here; there are jobs, seconds"),
        ("[sbnd]\njobs = -4", "[sbnd]: jobs is -4"),
        ("[sbnd]\njobs = 'four'", "[sbnd]: jobs: a whole number is expected"),
        ("jobs = 4", "[jobs]: an object is expected"),
        ("[sbnd", "end of document"),
    ],
)
def test_bad_file_is_refused_with_section_and_field(
    text: str, problem: str, tmp_path: Path
) -> None:
    file = tmp_path / "budgets.toml"
    file.write_text(text)
    with pytest.raises(BadInputError) as refused:
        read_budgets(file)

    assert str(file) in str(refused.value)
    assert problem in str(refused.value)
    with pytest.raises(BadInputError):
        read_budgets(tmp_path / "none.toml")
