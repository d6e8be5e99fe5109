"""`python -m benchmarks`: prints figures on SQLite and PostgreSQL, each beside its mark and what raw SQL on the same schema does."""

import argparse
from pathlib import Path

from benchmarks.measuring import measure
from benchmarks.places import KINDS, open_place
from benchmarks.report import print_heading

PARTS = ("sizes", "reading", "questions", "pages", "http")


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000, help="jobs that fill the database before it is measured")
    parser.add_argument("--database", choices=(*KINDS, "both"), default="both")
    parser.add_argument("--only", choices=PARTS, action="append", help="measure only this (may be given several times)")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="go on with the databases in this folder, and leave them there"
    )
    chosen = parser.parse_args()
    for kind in KINDS if chosen.database == "both" else (chosen.database,):
        with open_place(kind, chosen.keep) as place:
            print_heading(f"{kind}, {chosen.jobs:,} jobs of 6 kB")
            measure(place, chosen.jobs, lambda part: not chosen.only or part in chosen.only)


if __name__ == "__main__":
    main()
