"""Comparators on real files: one table of cases for the package and for a bundle's verify.py."""

import ast
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward
import numpy as np
import pytest
import uproot

from jobprov.provenance.bundle.comparison.comparators import OutputRule, read_rules, rule_for
from jobprov.provenance.bundle.comparison.root_statistics import upper_gamma
from jobprov.provenance.bundle.comparison.verify import UndecidedError, compare, content_digest
from jobprov.provenance.bundle.templates import comparison_program
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.reruns.execution import rerun, verify
from tests.library.productions.toy_job import Toy

ENTRIES = 2000


def write_tree(
    path: Path,
    *,
    seed: int = 1,
    order: Any = None,
    shift: float = 0.0,
    clock: int = 0,
    entries: int = ENTRIES,
) -> None:
    """A file with flat, nested and string branches, and a histogram.

    `clock` is a branch that differs from run to run.
    """
    chance = np.random.default_rng(seed)
    x = chance.normal(size=entries) * (1 + shift)
    counts = chance.integers(0, 3, entries)
    nested = awkward.unflatten(chance.normal(size=int(counts.sum())), counts)
    order = np.arange(entries) if order is None else order
    with uproot.recreate(path) as file:
        tree = {
            "x": x[order],
            "v": nested[order],
            "run": np.arange(entries)[order],
            "clock": np.full(entries, clock),
        }
        file.mktree(
            "events",
            {
                name: "var * float64" if name == "v" else values.dtype
                for name, values in tree.items()
            },
        ).extend(tree)
        file["h"] = np.histogram(x, bins=20, range=(-4, 4))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("comparators")
    shuffled = np.random.default_rng(9).permutation(ENTRIES)
    write_tree(folder / "recorded.root")
    write_tree(folder / "shuffled.root", order=shuffled)
    write_tree(folder / "near.root", shift=1e-12)
    write_tree(folder / "far.root", shift=0.3)
    write_tree(folder / "seeded.root", seed=2)
    write_tree(folder / "later.root", clock=7)
    write_tree(folder / "fewer.root", entries=ENTRIES // 2)
    (folder / "cut.root").write_bytes((folder / "recorded.root").read_bytes()[:3000])
    texts = {
        "recorded.txt": "Date: Mon 3\nmean = 1.25 +- 0.5\nevents 10\n",
        "dated.txt": "Date: Tue 4\r\nmean = 1.25 +- 0.5\r\nevents 10\r\n",
        "near.txt": "Date: Mon 3\nmean = 1.2500001 +- 0.5\nevents 10\n",
        "other.txt": "Date: Mon 3\nmean = 1.25 +- 0.5\nevents ten\n",
        "nan.txt": "Date: Mon 3\nmean = nan +- 0.5\nevents 10\n",
    }
    for name, text in texts.items():
        (folder / name).write_bytes(text.encode())
    return folder


NUMERIC, IGNORE = 'numeric {"relative": 1e-9}', '{"ignore": ["*/clock"]}'
MASKED, NEAR_TEXT = (
    'text {"mask": ["^Date:.*"]}',
    'numeric {"mask": ["^Date:.*"], "absolute": 1e-6}',
)
CASES = [
    # comparator, file, level
    ("content", "recorded", "R7"),
    ("content", "shuffled", "R2"),
    ("content", "cut", "R2"),
    ("masked", "near", "R2"),
    ("unordered", "recorded", "R7"),
    ("unordered", "shuffled", "R5~"),
    ("unordered", "near", "R2"),
    ("unordered", "fewer", "R2"),
    (f"unordered {IGNORE}", "later", "R5"),
    ("content", "later", "R2"),
    (f"content {IGNORE}", "later", "R5"),
    (NUMERIC, "near", "R4"),
    (NUMERIC, "far", "R2"),
    (NUMERIC, "shuffled", "R2"),
    (NUMERIC, "later", "R2"),  # integers are not near
    ('numeric {"relative": 1e-9, "ignore": ["*/clock"]}', "later", "R5"),
    ("histograms", "near", "R3"),
    ("histograms", "seeded", "R3"),
    ("histograms", "far", "R2"),
    ("histograms", "fewer", "R2"),
    ("bytes", "near", "R2"),
    ("text", "dated.txt", "R2"),
    (MASKED, "dated.txt", "R6"),
    (MASKED, "near.txt", "R2"),
    (NEAR_TEXT, "dated.txt", "R6"),
    (NEAR_TEXT, "near.txt", "R4"),
    (NEAR_TEXT, "other.txt", "R2"),
    (NEAR_TEXT, "nan.txt", "R2"),
]


def wanted(files: Path, comparator: str, name: str) -> tuple[Path, dict[str, str]]:
    path = files / (name if "." in name else f"{name}.root")
    reference = files / f"recorded{path.suffix}"
    sha256 = subprocess.run(
        ["sha256sum", str(reference)], capture_output=True, text=True, check=True
    ).stdout[:64]
    return path, {"sha256": sha256, "reference": str(reference), "comparator": comparator}


@pytest.mark.parametrize(("comparator", "name", "level"), CASES)
def test_package_tells_the_level(files: Path, comparator: str, name: str, level: str) -> None:
    path, known = wanted(files, comparator, name)
    verdict, found, _ = compare(str(path), known)

    assert (found, verdict == "DIFFERENT") == (level, level == "R2")


@pytest.mark.slow
def test_verify_of_a_bundle_agrees_in_every_case(files: Path, tmp_path: Path) -> None:
    """All cases in one process of the program as bundles hold it."""
    (tmp_path / "verify.py").write_bytes(comparison_program())
    cases = [wanted(files, comparator, name) for comparator, name, _ in CASES]
    driver = tmp_path / "driver.py"
    driver.write_text(
        "import json, sys\nsys.path.insert(0, sys.argv[1])\nimport verify\n"
        "for path, known in json.load(sys.stdin):\n"
        "    verify.main(['compare', path] + [word for key in known for word in ('--' + key, "
        "known[key])])\n"
    )
    words = json.dumps([(str(path), known) for path, known in cases])
    environment = {**os.environ, "PYTHONPATH": ""}
    ended = subprocess.run(
        [sys.executable, "-P", str(driver), str(tmp_path)],
        input=words,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )

    assert ended.stdout.splitlines() == [
        " ".join(compare(str(path), known)) for path, known in cases
    ]


def test_verify_defines_every_name_once() -> None:
    """Modules that become one file must not hide each other's functions."""
    tree = ast.parse(comparison_program())
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    names += [
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]

    assert sorted(name for name in set(names) if names.count(name) > 1) == []
    assert b"from jobprov" not in comparison_program()


@pytest.mark.slow
def test_level_of_a_verdict_is_the_lowest_of_required_outputs(
    toy: Toy, files: Path, tmp_path: Path
) -> None:
    """R5~ stands between R4 and R5."""
    copies = {"shuffled": "unordered", "recorded": "content", "near": NUMERIC, "far": "content"}
    toy.rules = [
        OutputRule(pattern="far.root", required=False, comparator="content"),
        OutputRule(pattern="shuffled.root", comparator="unordered"),
        OutputRule(pattern="near.root", comparator="numeric", relative=1e-9),
    ]
    toy.record["environment"]["variables"]["PATH"] = "/usr/bin:/bin"
    toy.record["inputs"] = [
        {
            "name": f"in/{name}.root",
            "path": f"in/{name}.root",
            "sha256": toy.blobs.write((files / f"{name}.root").read_bytes()),
        }
        for name in copies
    ]
    recorded = toy.blobs.write((files / "recorded.root").read_bytes())
    levels = []
    for names in (("recorded", "shuffled", "far"), ("shuffled", "near")):
        toy.record["command"]["steps"] = [
            {
                "name": "copy",
                "role": "payload",
                "argv": ["cp", *(f"in/{name}.root" for name in names), "."],
                "exit_code": 0,
            }
        ]
        toy.record["outputs"] = [
            {"name": f"{name}.root", "status": "written", "sha256": recorded} for name in names
        ]
        bag, out = toy.unpack(tmp_path / names[0]), tmp_path / f"out-{names[0]}"
        assert rerun(bag, out).is_started
        result = verify(bag, out)
        levels.append(result.level)

    assert levels == ["R5~", "R4"]


def test_comparator_without_the_recorded_file_decides_by_digest_or_not_at_all(files: Path) -> None:
    digest = content_digest(str(files / "recorded.root"))
    known = {"sha256": "0" * 64, "content": digest, "comparator": NUMERIC}

    assert compare(str(files / "recorded.root"), known)[1] == "R5"
    with pytest.raises(UndecidedError, match="recorded file"):
        compare(str(files / "near.root"), known)


def test_verdict_names_the_parameters_by_digest(files: Path) -> None:
    names = [
        compare(*(str(files / "near.txt"), wanted(files, text, "near.txt")[1]))[2]
        for text in (NEAR_TEXT, NEAR_TEXT.replace("6", "5"))
    ]

    assert names[0].startswith("numeric-1:")
    assert names[0] != names[1]


def test_upper_gamma_is_chi_squares_p_value() -> None:
    # closed forms: two degrees exp(-x/2), one degree erfc(sqrt(x/2)), four degrees exp(-x/2)(1 +
    # x/2)
    for x in (0.1, 1.0, 3.0, 20.0, 80.0):
        assert upper_gamma(1.0, x / 2) == pytest.approx(math.exp(-x / 2), rel=1e-10)
        assert upper_gamma(0.5, x / 2) == pytest.approx(math.erfc(math.sqrt(x / 2)), rel=1e-10)
        assert upper_gamma(2.0, x / 2) == pytest.approx(math.exp(-x / 2) * (1 + x / 2), rel=1e-10)


def test_first_rule_that_fits_counts() -> None:
    rules = read_rules(
        {
            "output": [
                {"pattern": "*.log", "required": False},
                {"pattern": "*.root", "stage": "reco*", "comparator": "numeric", "relative": 0.1},
            ]
        }
    ).output
    found: Callable[[str, str], OutputRule | None] = lambda name, stage: rule_for(  # noqa: E731
        rules, name, stage
    )

    assert found("a.log", "x") is rules[0]
    assert found("a.root", "reco2") is rules[1]
    assert found("a.root", "gen") is None
    assert rules[0].text() == ""
    assert rules[1].text() == 'numeric {"relative": 0.1}'


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"pattern": "*", "comparator": "guess"}, "guess"),
        ({"pattern": "*", "mask": ["("]}, r"output\[0\].mask"),
        ({"pattern": "*", "absolute": -1.0}, "absolute"),
        ({"pattern": "*", "tolerance": 1.0}, "tolerance"),
        ({"comparator": "bytes"}, "pattern"),
    ],
)
def test_wrong_rule_is_refused_by_name(rule: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        read_rules({"output": [rule]})


def test_plan_holds_the_declared_comparator_and_the_recorded_file(toy: Toy, tmp_path: Path) -> None:
    toy.record["outputs"] = [
        {"name": name, "status": "written", "sha256": toy.blobs.write(name.encode())}
        for name in ("a.txt", "b.log")
    ]
    toy.rules = read_rules(
        {
            "output": [
                {"pattern": "*.txt", "stage": "join", "comparator": "text", "mask": ["it's %"]},
                {"pattern": "*.log", "required": False},
            ]
        }
    ).output
    outputs = toy.unpack(tmp_path) / "data/outputs"
    members = {
        f"data/outputs/{file.relative_to(outputs)}": file.read_text()
        for file in outputs.rglob("*.*")
    }
    shell = members["data/outputs/expected.sh"]

    assert members["data/outputs/files/a.txt"] == "a.txt"
    assert "data/outputs/files/b.log" not in members
    assert """'text {"mask": ["it'\\''s %"]}'""" in shell
    assert [line.split()[3] for line in shell.splitlines()] == ["yes", "no"]
