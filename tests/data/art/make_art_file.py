"""Makes `toy_reco.root`: a file as art-root-io writes it, but for the classes of its events.

Source of the form: art-root-io (key `RootFileDB`, class `TKey`, an uncompressed SQLite file with the tables below; ids and blobs are
bound with their closing NUL) and canvas. Everything in it is ours. uproot writes it: `python tests/data/art/make_art_file.py FILE`.
"""

import sqlite3
import sys
from pathlib import Path

import numpy as np
import uproot

from jobprov.provenance import fhicl
from jobprov.provenance.fhicl.limits import DEFAULT_LIMITS
from jobprov.provenance.fhicl.identity import registered_tables

GEN = """\
process_name: "Gen"
services: { scheduler: { num_threads: 1 num_schedules: 1 } }
source: { module_type: "EmptyEvent" module_label: "source" maxEvents: 20 firstRun: 1004 }
physics: { producers: { generator: { module_type: "ToyGenerator" module_label: "generator" seed: 2026004 mass: 91.19 } } simulate: ["generator"] trigger_paths: ["simulate"] }
outputs: { out: { module_type: "RootOutput" module_label: "out" fileName: "toy_gen.root" dataTier: "gen" } }
"""
RECO = """\
process_name: "Reco"
services: { scheduler: { num_threads: 1 num_schedules: 1 } FileCatalogMetadata: { service_type: "FileCatalogMetadata" applicationFamily: "toyexp" applicationVersion: "v1_4_0" } }
source: { module_type: "RootInput" module_label: "source" fileNames: ["toy_gen.root"] maxEvents: -1 }
physics: { producers: { smear: { module_type: "ToySmear" module_label: "smear" width: 1.5e-2 note: "not @id::0123456789012345678901234567890123456789" tracker: { layers: 8 efficiency: 0.97 resolution: 0.012 name: "inner tracker" } } } reco: ["smear"] trigger_paths: ["reco"] }
outputs: { out: { module_type: "RootOutput" module_label: "out" fileName: "toy_reco.root" dataTier: "reco" } }
"""
METADATA = [
    ("application.family", '"toyexp"'),
    ("application.version", '"v1_4_0"'),
    ("file_type", "mc"),
    ("art.run_type", '"toy"'),
    ("data_tier", '"raw"'),
    ("data_tier", '"reco"'),
    ("data_stream", '"out"'),
    ("art.process_name", '"Reco"'),
    ("file_format", '"artroot"'),
    ("start_time", '"2026-11-24T15:22:11"'),
    ("end_time", '"2026-11-24T15:35:43"'),
    ("runs", '[[1004, 0, "toy"]]'),
    ("event_count", "20"),
    ("first_event", "1"),
    ("last_event", "20"),
    ("parents", '["toy_gen.root"]'),
    ("art.file_format_era", '"ART_2011a"'),
    ("art.file_format_version", "15"),
]
TABLES = """\
CREATE TABLE FileCatalog_metadata(ID INTEGER PRIMARY KEY, Name text, Value text);
CREATE TABLE ParameterSets(ID PRIMARY KEY, PSetBlob);
CREATE TABLE EventRanges(SubRun INTEGER, "begin" INTEGER, "end" INTEGER, UNIQUE (SubRun, "begin", "end"));
CREATE TABLE RunRangeSets(Run INTEGER);
CREATE TABLE RunRangeSets_EventRanges(RangeSetsID INTEGER, EventRangesID INTEGER, PRIMARY KEY(RangeSetsID, EventRangesID)) WITHOUT ROWID;
CREATE TABLE SubRunRangeSets(Run INTEGER);
CREATE TABLE SubRunRangeSets_EventRanges(RangeSetsID INTEGER, EventRangesID INTEGER, PRIMARY KEY(RangeSetsID, EventRangesID)) WITHOUT ROWID;
INSERT INTO EventRanges VALUES (0, 1, 21);
INSERT INTO RunRangeSets VALUES (1004); INSERT INTO RunRangeSets_EventRanges VALUES (1, 1);
INSERT INTO SubRunRangeSets VALUES (1004); INSERT INTO SubRunRangeSets_EventRanges VALUES (1, 1);
"""


def database() -> bytes:
    """The bytes of the SQLite file."""
    with sqlite3.connect(":memory:") as made:
        made.execute("PRAGMA page_size = 1024")
        made.executescript(TABLES)
        made.executemany("INSERT INTO FileCatalog_metadata(Name, Value) VALUES (?, ?)", METADATA)
        made.executemany(
            "INSERT INTO ParameterSets VALUES (?, ?)",
            [(key + "\0", text + "\0") for key, text in sets().items()],
        )
        made.commit()
        return made.serialize()


def sets() -> dict[str, str]:
    """Every set and the tables in it, compact, by id: as the registry of a process exports them."""
    found = {}
    for text in (GEN, RECO):
        configuration = fhicl.loads(text)
        for body in [
            configuration.root,
            *registered_tables(configuration.root, DEFAULT_LIMITS).values(),
        ]:
            inner = fhicl.loads(body.canonical[1:-1])
            found[inner.parameter_set_id] = inner.to_compact_string()
    return dict(sorted(found.items()))


def write(path: Path, content: bytes) -> None:
    """Write a ROOT file with this database and a few trees."""
    with uproot.recreate(path) as file:
        file.mktree("Events", {"EventAuxiliary.run": "i4", "EventAuxiliary.event": "i4"})
        file["Events"].extend(
            {
                "EventAuxiliary.run": np.full(20, 1004, "i4"),
                "EventAuxiliary.event": np.arange(1, 21, dtype="i4"),
            }
        )
        file.mktree("MetaData", {"FileFormatVersion.value": "i4"})
        file["MetaData"].extend({"FileFormatVersion.value": np.array([15], "i4")})
        file._cascading.add_object(
            file._file.sink, "TKey", "RootFileDB", "sqlite3 database file", content, len(content)
        )


if __name__ == "__main__":
    write(Path(sys.argv[1]), database())
