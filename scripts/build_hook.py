#!/usr/bin/env python3
"""Build the job-end hook: `scripts/build_hook.py [TARGET]`, job-end-hook.pyz by default.

Prints its SHA-256.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from jobprov.provenance.capture.packing import build


def main() -> int:
    """Build it, and say what was built."""
    parser = argparse.ArgumentParser(description="Build the job-end hook, and print its SHA-256.")
    parser.add_argument(
        "target", nargs="?", default="job-end-hook.pyz", help="job-end-hook.pyz by default"
    )
    target = parser.parse_args().target
    print(f"{build(target)}  {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
