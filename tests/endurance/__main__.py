"""The whole of it: `./scripts/endure`, which lets each fault befall a service many times."""

import argparse
import random
import time
from contextlib import ExitStack

from tests.endurance.checks import check_end
from tests.endurance.databases import PostgreSQL
from tests.endurance.disks import enter_own_mounts, may_mount
from tests.endurance.faults import FAULTS
from tests.endurance.faults.fault import Fault
from tests.endurance.rounds import run_round
from tests.endurance.staging import scene_on
from tests.library.servers.s3 import S3Server

DATABASES = ("sqlite", "postgresql")
_AT_ONCE = 10
"""How often a fault befalls a service that goes on, before it is stopped and all is checked."""


def main() -> None:
    """Do what the command line says, and print what was tried."""
    enter_own_mounts("tests.endurance")
    parser = argparse.ArgumentParser(prog="scripts/endure", description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="how often each befalls it")
    parser.add_argument("--fault", choices=FAULTS, action="append", help="only this one; repeated")
    parser.add_argument("--database", choices=DATABASES, help="only this one")
    parser.add_argument("--seconds", type=float, default=4.0, help="the longest until a fault")
    parser.add_argument("--seed", type=int, help="of the random moments; each run has another")
    parser.add_argument("--refusals", action="store_true", help="print what senders were told")
    asked = parser.parse_args()
    seed = asked.seed
    if seed is None:
        seed = random.SystemRandom().randrange(1 << 30)
    for name in asked.fault or FAULTS:
        for database in (asked.database,) if asked.database else DATABASES:
            if database in FAULTS[name].databases:
                print(_try(FAULTS[name](), database, asked, seed), flush=True)


def _try(fault: Fault, database: str, asked: argparse.Namespace, seed: int) -> str:
    """Let a fault befall a service as often as was asked; return what came of it, on a line."""
    title = f"{fault.name} on {database}"
    lacking = fault.missing()
    if fault.needs_disks and not may_mount():
        lacking = "root, who may mount disks"
    if lacking:
        return f"{title}: NOT TRIED, this machine lacks {lacking}."
    began = time.monotonic()
    with ExitStack() as stack:
        s3_server = None
        if fault.needs_s3:
            s3_server = S3Server()
            stack.callback(s3_server.stop)
        scene = stack.enter_context(
            scene_on(
                database,
                seed=seed,
                most_seconds=asked.seconds,
                on_small_disks=fault.needs_disks,
                s3_server=s3_server,
            )
        )
        rounds = 0
        try:
            while scene.struck < asked.kills:
                run_round(scene, fault, min(_AT_ONCE, asked.kills - scene.struck))
                rounds += 1
            check_end(scene)
        except BaseException:
            print(f"{title}, seed {seed}: FAILED after {scene.struck} times, {rounds} whole runs.")
            raise
        sent = scene.sent
    told = (
        f"{title}, seed {seed}: struck {scene.struck} times in {rounds} runs and "
        f"{time.monotonic() - began:.0f} s; {len(sent.records)} records and {len(sent.blobs)} "
        f"blobs acknowledged, {sent.refusals.total()} refused, 0 lost."
    )
    lines = [told]
    if isinstance(scene.database, PostgreSQL) and scene.database.revived:
        lines.append(f"    PostgreSQL stayed down {scene.database.revived} times, and was started")
    if asked.refusals:
        for sentence, count in sent.refusals.most_common():
            lines.append(f"    {count} x {sentence}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
