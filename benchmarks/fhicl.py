"""Measures the FHiCL reader: files and expanded MB a second over real configurations.

It also measures one expansion of 9.5 MB in 1,737 inclusions. Run it with `python -m
benchmarks.fhicl`. The corpus (public configurations of experiments) is no part of the project;
JOBPROV_SHARED names the folder that holds `fhicl/corpus`, `../shared` beside the checkout is tried.
What needs it is left out, and said so, where it is absent.
"""

import csv
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from jobprov.provenance import fhicl
from jobprov.provenance.fhicl.loading import forget_sources

REFERENCE_MB_A_SECOND = 3.1
REFERENCE_FILES_A_SECOND = 26
MARK_WARM_MB_A_SECOND = 8
MARK_LARGE_SECONDS = 5
MARK_MEMORY_RATIO = 12

_LEAVES, _MIDDLES, _TOPS = 40, 30, 10
_MIDDLES_A_TOP, _LEAVES_A_MIDDLE, _LEAVES_OF_MAIN = 12, 13, 47
_PARAMETERS = 12  # of a leaf's table; makes the expansion 9.5 MB
_MEGA = 1e6


def main() -> None:
    """Print all figures."""
    measure_corpus()
    measure_large()


def measure_corpus() -> None:
    """Print speed over the corpus, the first time and with the files in memory."""
    folder = _shared_folder()
    if folder is None:
        print("fhicl corpus: not here (JOBPROV_SHARED), left out")
        return
    search_paths = json.loads((folder / "search-paths.json").read_text())
    with (folder / "oracle.tsv").open() as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    before = Path.cwd()
    os.chdir(folder / "corpus")
    try:
        forget_sources()
        for label in ("cold", "warm", "warm"):
            _print_round(label, rows, search_paths)
    finally:
        os.chdir(before)


def measure_large() -> None:
    """Print time and peak memory of a 9.5 MB expansion, each in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        write_large_configuration(Path(folder))
        subprocess.run([sys.executable, "-m", "benchmarks.fhicl", "large", folder], check=True)


def write_large_configuration(folder: Path) -> Path:
    """Write an include tree like that of a large experiment's services.

    81 files, 1,737 inclusions, 9.5 MB expanded.

    Returns:
        The main file; `folder` is its search path.
    """
    for number in range(_LEAVES):
        (folder / f"leaf{number}.fcl").write_text(_leaf(number))
    for number in range(_MIDDLES):
        (folder / f"middle{number}.fcl").write_text(_middle(number))
    for number in range(_TOPS):
        (folder / f"top{number}.fcl").write_text(_top(number))
    path = folder / "main.fcl"
    path.write_text(_main_file())
    return path


def _print_round(
    label: str, rows: list[dict[str, str]], search_paths: dict[str, list[str]]
) -> None:
    gc.collect()
    size, good, slowest, slowest_path = 0, 0, 0.0, ""
    started = time.perf_counter()
    for row in rows:
        file_started = time.perf_counter()
        try:
            configuration = fhicl.load(row["path"], search_paths[row["group"]])
        except fhicl.FhiclError:
            continue
        good += 1
        size += configuration.expanded_size
        taken = time.perf_counter() - file_started
        if taken > slowest:
            slowest, slowest_path = taken, row["path"]
    seconds = time.perf_counter() - started
    speed = size / _MEGA / seconds
    print(
        f"fhicl corpus {label}: {len(rows)} files ({good} good) in {seconds:.2f} s = "
        f"{len(rows) / seconds:.0f} files/s "
        f"({len(rows) / seconds / REFERENCE_FILES_A_SECOND:.0f} x the reference), "
        f"{speed:.1f} MB/s expanded "
        f"({speed / REFERENCE_MB_A_SECOND:.0f} x, mark {MARK_WARM_MB_A_SECOND}); "
        f"slowest {slowest * 1000:.0f} ms {slowest_path}"
    )


def _print_large(folder: str) -> None:
    """Print the figures of the large configuration; runs in a fresh process."""
    base = _peak_bytes()
    for label in ("cold", "warm"):
        started = time.perf_counter()
        configuration = fhicl.load(Path(folder) / "main.fcl", [folder])
        identity = configuration.parameter_set_id
        seconds = time.perf_counter() - started
        peak = _peak_bytes()
        size = configuration.expanded_size
        included, files = len(configuration.opened) - 1, len(configuration.files) - 1
        print(
            f"fhicl large {label}: {size / _MEGA:.2f} MB expanded, "
            f"{included} inclusions of {files} files, evaluated in {seconds:.2f} s "
            f"(mark {MARK_LARGE_SECONDS}); peak {peak / _MEGA:.0f} MB, "
            f"{(peak - base) / size:.1f} x the expanded size over the "
            f"{base / _MEGA:.0f} MB before (mark {MARK_MEMORY_RATIO}); id {identity[:8]}"
        )
    started = time.perf_counter()
    expanded, indented = configuration.expanded, configuration.to_indented_string()
    seconds = time.perf_counter() - started
    peak = _peak_bytes()
    ratio = (peak - base) / configuration.expanded_size
    print(
        f"fhicl large: expanded text ({len(expanded) / _MEGA:.1f} MB) and indented form "
        f"({len(indented) / _MEGA:.1f} MB) "
        f"in {seconds:.2f} s, peak {ratio:.1f} x"
    )
    _print_flat(expanded)


def _print_flat(text: bytes) -> None:
    """Print the speed on the same text without includes: nothing repeats, every token is read."""
    started = time.perf_counter()
    fhicl.loads(text)
    seconds = time.perf_counter() - started
    print(
        f"fhicl large as one text without includes: {len(text) / _MEGA / seconds:.1f} MB/s, "
        f"{seconds:.2f} s"
    )


def _leaf(number: int) -> str:
    lines = [f"# parameters of detector part {number}", "BEGIN_PROLOG"]
    for table in range(6):
        lines.append(f"leaf{number}_table{table}: {{")
        lines += [
            (
                f"  Parameter{index}: {number * 17 + index * 0.25}  # set by the calibration "
                f"of run {index * 1000}"
            )
            for index in range(_PARAMETERS)
        ]
        lines.append(
            f'  Label: "part{number}_{table}"   Channels: '
            f"[ {', '.join(str(number * 100 + index) for index in range(12))} ]"
        )
        lines.append(
            "  Nested: { Method: gaussian  Widths: [ 1.5, 2.5e-3, 0x1F ]  "
            "Enabled: true  Extra: @nil }"
        )
        lines.append("}")
    return "\n".join([*lines, "END_PROLOG", ""])


def _middle(number: int) -> str:
    leaves = [(number * 7 + index * 3) % _LEAVES for index in range(_LEAVES_A_MIDDLE)]
    lines = [f'#include "leaf{leaf}.fcl"' for leaf in leaves] + ["BEGIN_PROLOG"]
    for index, leaf in enumerate(leaves):
        lines.append(f"middle{number}_algorithm{index}: {{")
        lines.append(f"  @table::leaf{leaf}_table{index % 6}")
        lines.append(
            f"  Tool: @local::leaf{leaf}_table{(index + 1) % 6}   "
            "# the same for data and simulation"
        )
        lines.append(
            f'  Parameter3: {index + 0.5}  InputLabel: "gaushit{index}"  Stages: '
            f"[ @sequence::leaf{leaf}_table2.Channels, 999 ]"
        )
        lines += [
            f"  Comment{line}: 'middle {number} algorithm {index} line {line} of its description'"
            for line in range(3)
        ]
        lines.append("}")
        lines.append(f"middle{number}_algorithm{index}.Nested.Widths[1]: {index}e-3")
    return "\n".join([*lines, "END_PROLOG", ""])


def _top(number: int) -> str:
    middles = [(number * 5 + index * 7) % _MIDDLES for index in range(_MIDDLES_A_TOP)]
    lines = [f'#include "middle{middle}.fcl"' for middle in middles] + [
        "BEGIN_PROLOG",
        f"top{number}_services: {{",
    ]
    for index, middle in enumerate(middles):
        lines += [
            f"  Service{index}_{inner}: @local::middle{middle}_algorithm{inner}"
            for inner in range(_LEAVES_A_MIDDLE)
        ]
    return "\n".join([*lines, "}", "END_PROLOG", ""])


def _main_file() -> str:
    lines = [f'#include "top{number}.fcl"' for number in range(_TOPS)]
    lines += [f'#include "leaf{index % _LEAVES}.fcl"' for index in range(_LEAVES_OF_MAIN)]
    lines += ['process_name: "Large"', "services: {"]
    lines += [f"  Group{number}: @local::top{number}_services" for number in range(_TOPS)]
    lines += ["}"]
    for number in range(_TOPS):
        lines += [
            f"services.Group{number}.Service{index}_0.Parameter1: {index}.75"
            for index in range(_MIDDLES_A_TOP)
        ]
    return "\n".join([*lines, ""])


def _peak_bytes() -> int:
    """Return the peak resident memory of this process since its program began.

    Linux only, 0 elsewhere.
    """
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def _shared_folder() -> Path | None:
    named = os.environ.get("JOBPROV_SHARED")
    folder = (Path(named) if named else Path(__file__).resolve().parents[2] / "shared") / "fhicl"
    return folder if (folder / "oracle.tsv").is_file() else None


if __name__ == "__main__":
    if sys.argv[1:2] == ["large"]:
        _print_large(sys.argv[2])
    else:
        main()
