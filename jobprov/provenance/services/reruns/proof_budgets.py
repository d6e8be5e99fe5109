"""What `jobprov prove` may take for an experiment, as an operator's TOML file says.

```toml
[default]
jobs = 50
seconds = 3600

[sbnd]
jobs = 400
memory_gib = 4
```

What a section leaves out is as in `[default]`, and what that leaves out as below.
"""

import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from jobprov.provenance.errors import BadInputError
from jobprov.provenance.records.reading.misfits import misfit
from jobprov.provenance.services.reruns.isolation import RerunLimits

DEFAULT = "default"
_GIB = 1024**3


class ProofBudget(NamedTuple):
    """What the proofs of one experiment may take.

    Attributes:
        jobs: number of reruns.
        seconds: no rerun starts after this time.
        cpu_seconds: nor after reruns have taken so much.
        job_seconds: a rerun that takes longer is stopped.
        disk_bytes: for one rerun, including its bundle.
        memory_bytes: for all processes of one rerun.
        processes: and threads of one rerun, at once.
        again_after: what is not proven is rerun when its last rerun is as old.
        input_dirs: where inputs are looked for that are not in a bundle.
    """

    jobs: int = 50
    seconds: float = 3600.0
    cpu_seconds: float = 36_000.0
    job_seconds: float = 600.0
    disk_bytes: int = 10 * _GIB
    memory_bytes: int = 8 * _GIB
    processes: int = 2000
    again_after: timedelta = timedelta(days=7)
    input_dirs: tuple[Path, ...] = ()

    def of_rerun(self) -> RerunLimits:
        """Return what one rerun may take."""
        return RerunLimits(self.job_seconds, self.disk_bytes, self.memory_bytes, self.processes)


class BudgetSection(msgspec.Struct, forbid_unknown_fields=True):
    """A section of the file, or the options of the command; None for what is left out."""

    jobs: int | None = None
    seconds: float | None = None
    cpu_seconds: float | None = None
    job_seconds: float | None = None
    disk_gib: float | None = None
    memory_gib: float | None = None
    processes: int | None = None
    again_after_days: float | None = None
    input_dirs: list[str] | None = None

    def over(self, budget: ProofBudget) -> ProofBudget:
        """Return a budget with the values of this section in place of its own."""
        changes: dict[str, Any] = {}
        for name, value in msgspec.structs.asdict(self).items():
            if value is not None and name in ProofBudget._fields:
                changes[name] = value
        # What people write in other units than the budget has
        if self.disk_gib is not None:
            changes["disk_bytes"] = int(self.disk_gib * _GIB)
        if self.memory_gib is not None:
            changes["memory_bytes"] = int(self.memory_gib * _GIB)
        if self.again_after_days is not None:
            changes["again_after"] = timedelta(days=self.again_after_days)
        if self.input_dirs is not None:
            changes["input_dirs"] = tuple(Path(folder) for folder in self.input_dirs)
        return budget._replace(**changes)


class ProofBudgets(NamedTuple):
    """The budgets of all experiments.

    Attributes:
        standard: of those that have none of their own.
    """

    standard: ProofBudget
    by_experiment: Mapping[str, ProofBudget]

    def over(self, section: BudgetSection) -> "ProofBudgets":
        """Return the same with the values of options, which hold for every experiment."""
        changed = {name: section.over(budget) for name, budget in self.by_experiment.items()}
        return ProofBudgets(section.over(self.standard), changed)


def read_budgets(file: Path | None) -> ProofBudgets:
    """Return the budgets of a file; the standard one alone without a file.

    Raises:
        BadInputError: the file cannot be read; the message names file, section and field.
    """
    if file is None:
        return ProofBudgets(ProofBudget(), {})
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise _bad(file, "", str(problem)) from None
    sections = {name: _section(file, name, table) for name, table in document.items()}
    standard = sections.pop(DEFAULT, BudgetSection()).over(ProofBudget())
    budgets = {name: section.over(standard) for name, section in sections.items()}
    return ProofBudgets(standard, budgets)


def _section(file: Path, name: str, table: Any) -> BudgetSection:
    try:
        section = msgspec.convert(table, BudgetSection)
    except msgspec.ValidationError as problem:
        raise _bad(file, f"[{name}]: ", str(misfit(problem, BudgetSection))) from None
    for field, value in msgspec.structs.asdict(section).items():
        if isinstance(value, int | float) and not 0 <= value < 1 << 53:
            raise _bad(file, f"[{name}]: ", f"{field} is {value}; give a number from 0 on")
    return section


def _bad(file: Path, section: str, problem: str) -> BadInputError:
    message = f"The budgets of proofs in {file} cannot be read: {section}{problem}."
    return BadInputError(message, {"JOBPROV_PROOF_BUDGETS": [f"{section}{problem}"]})
