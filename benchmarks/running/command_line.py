"""The options that benchmarks on both databases share."""

import argparse
from pathlib import Path

KINDS = ("sqlite", "postgresql")


def database_parser(program: str, description: str | None) -> argparse.ArgumentParser:
    """Return a parser that reads `--database` and `--keep`."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=description)
    parser.add_argument("--database", choices=(*KINDS, "both"), default="both")
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="FOLDER",
        help="measure the databases in this folder, filled if they are not yet, and keep them",
    )
    return parser


def chosen_kinds(chosen: argparse.Namespace) -> tuple[str, ...]:
    """Return the kinds of database to measure, in order."""
    return KINDS if chosen.database == "both" else (chosen.database,)
