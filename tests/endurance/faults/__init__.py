"""Faults, each a class with a name: `FAULTS` lists them all."""

from tests.endurance.faults.clock import ClockSteps
from tests.endurance.faults.fault import Fault
from tests.endurance.faults.kills import (
    BackupKilled,
    DatabaseKilled,
    EraseKilled,
    MigrateKilled,
    RebuildKilled,
    SealKilled,
    ServiceKilled,
)
from tests.endurance.faults.network import BrokenProxy, S3Gone, S3Slow, S3Unavailable
from tests.endurance.faults.scarcity import DiskFull, NoDescriptors, NoMemory, ReadOnlyArchive

FAULTS: dict[str, type[Fault]] = {
    fault.name: fault
    for fault in (
        ServiceKilled,
        DatabaseKilled,
        SealKilled,
        BackupKilled,
        EraseKilled,
        RebuildKilled,
        MigrateKilled,
        DiskFull,
        ReadOnlyArchive,
        NoDescriptors,
        NoMemory,
        ClockSteps,
        S3Gone,
        S3Slow,
        S3Unavailable,
        BrokenProxy,
    )
}
