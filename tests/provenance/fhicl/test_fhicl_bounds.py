"""What a document may grow to: printed forms, index, JSON, pages, and as run, in time and memory.

Documents are real ones of the toy experiment and some made ones, mutated: bytes changed, lines
repeated, cut and exchanged, references multiplied.
"""

import gc
import json
import os
import random
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobprov.app.web.configurations.drawing import branch, page_of
from jobprov.provenance import fhicl
from jobprov.provenance.db.recording.configurations.parameters import indexed_tables
from jobprov.provenance.fhicl.limits import Limits
from jobprov.provenance.fhicl.loading import forget_sources
from jobprov.provenance.fhicl.reading.lookup import FoundFile
from jobprov.provenance.fhicl.running.as_run import as_run
from jobprov.provenance.fhicl.running.command_line import ArtOptions
from jobprov.provenance.fhicl.running.errors import NotKnownError
from jobprov.provenance.fhicl.running.facts import Facts

DOCUMENTS = int(os.environ.get("JOBPROV_MUTATED_DOCUMENTS", "100"))
SECONDS, MEGABYTES = 5, 500
OPTIONS = ArtOptions("lar", {"nevts": ["5"], "source": ["a.root"], "output": ["b.root"]})
FACTS = Facts(release="v3_14_04", has_root_output=True)
MOST_NODES = 500


def index_as_run(configuration: fhicl.Configuration) -> None:
    """Compute what art runs of a configuration, print and index it; art may refuse it."""
    try:
        ran = as_run(configuration, OPTIONS, FACTS)
    except NotKnownError:
        return
    ran.to_indented_string()
    indexed_tables(ran)


FORMS: list[Callable[[fhicl.Configuration], object]] = [
    fhicl.Configuration.to_string,
    fhicl.Configuration.to_compact_string,
    fhicl.Configuration.to_indented_string,
    fhicl.Configuration.to_annotated_string,
    fhicl.Configuration.to_prefix_annotated_string,
    indexed_tables,
    lambda configuration: json.dumps(configuration.as_tree()),
    lambda configuration: branch(tuple(configuration.parameters()), "", bears=MOST_NODES),
    index_as_run,
]
SEEDS = [
    b"""BEGIN_PROLOG
seeds: { gen: 1 smear: 2 }
gen: { module_type: Gen seed: @local::seeds.gen }
END_PROLOG
physics: { producers: { gen: @local::gen } p: [gen] q: [@sequence::physics.p] }
""",
    b"""c: { x: 'it is' y: "q\\n" z: @nil }
a: [1, 0x1f, -2.5e3, (1, 2)]
b: { @table::c }
a[7]: infinity
b.x: @erase
d.e: { f: [[1], [2, {g: true}]] }
""",
    b"t0: { x: 1 }\n" + b"".join([b"t: { p: @local::t0 q: @local::t0 }\nt0: @local::t\n"] * 9),
    b"s: [1, 2, 3]\n" + b"s: [@sequence::s, @local::s]\n" * 6,
    b"""#include "other.fcl"
x: @local::shared
x.y @protect_ignore: 3
# note
// note
z: @local::x.list
""",
]
OTHER = FoundFile("other.fcl", "d" * 900 + "/other.fcl", b"shared: { y: 1 list: [1,2,3] }\n")
PIECES = [
    b"@local::a",
    b"@table::t0",
    b"@sequence::s",
    b"{",
    b"}",
    b"a: ",
    b'#include "other.fcl"\n',
    b"BEGIN_PROLOG\n",
    b"@erase",
    b"\xff",
    b'"',
    b"\\",
    b"1e999999",
    b"\na[99999]: 1\n",
    b"\na[4294967295]: 1\n",
    b"\n",
    b"," * 50,
    b"{a:" * 40,
]


def mutated(draw: random.Random) -> bytes:
    """Return a document with up to four changes, half of them of whole lines."""
    document = bytearray(draw.choice(SEEDS))
    for _ in range(draw.randint(1, 4)):
        place = draw.randrange(len(document) + 1)
        end = min(len(document), place + draw.randint(1, 30))
        kind = draw.randrange(8)
        if kind == 0:
            document[place:place] = draw.choice(PIECES)
        elif kind == 1:
            document[place:end] = b""
        elif kind == 2 and place < len(document):
            document[place] = draw.randrange(256)
        elif kind == 3:
            document[place:place] = document[place:end] * draw.choice([1, 3, 40])
        else:
            line = draw.choice(bytes(document).split(b"\n")) + b"\n"
            document += line * draw.choice([1, 2, 9, 900])
    return bytes(document)


def read_and_print(document: bytes) -> Iterator[float]:
    """Read a document and print it in every form; yield the CPU seconds of each, as far as it goes."""
    main = FoundFile("main.fcl", "main.fcl", document)
    begun = time.process_time()
    page_of(document, link=lambda _: None)  # the page shows the text of a bad one, too
    try:
        configuration = fhicl.load_files("main.fcl", [main, OTHER])
        for form in FORMS:
            yield time.process_time() - begun
            begun = time.process_time()
            form(configuration)
    except fhicl.FhiclError:
        pass
    yield time.process_time() - begun


def peak_megabytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def resident_megabytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() >> 20


@pytest.mark.slow
def test_mutated_documents_end_in_a_configuration_or_an_fhicl_error() -> None:
    """JOBPROV_MUTATED_DOCUMENTS=20000 takes most of an hour; the number by default some seconds."""
    longest, good = 0.0, 0
    # other tests may have needed more, and left some of it
    earlier_peak, resident = peak_megabytes(), resident_megabytes()
    for number in range(DOCUMENTS):
        document = mutated(random.Random(number))  # noqa: S311 - not for secrets
        seconds = list(read_and_print(document))
        longest = max(longest, *seconds)
        good += len(seconds) == len(FORMS) + 1
        assert longest < SECONDS, (number, document[:400])
    peak = peak_megabytes()
    print(f"\n{good} of {DOCUMENTS} were good; longest {longest:.2f} s, peak {peak} MB")
    assert peak == earlier_peak or peak - resident < MEGABYTES
    assert DOCUMENTS // 10 < good < DOCUMENTS


@pytest.mark.parametrize("form", FORMS[2:5])
def test_printed_form_past_its_limit_is_refused(
    form: Callable[[fhicl.Configuration], object],
) -> None:
    configuration = fhicl.loads("a: 1\n" * 3 + "b: [1, 2, 3]\n", limits=Limits(printed_bytes=20))

    with pytest.raises(fhicl.FhiclError, match="printed_bytes"):
        form(configuration)


@pytest.mark.slow
def test_long_path_of_a_file_does_not_multiply_into_gigabytes() -> None:
    """17 kB made 2.7 GB of text, in 5.3 GB of memory."""
    name = "/" + "d" * 3000 + ".fcl"
    numbers = ",".join(["1"] * 1000)
    text = f"BEGIN_PROLOG\ns: [{numbers}]\nEND_PROLOG\n"
    text += "".join(f"q{number}: @local::s\n" for number in range(250))
    configuration = fhicl.load_files(name, [FoundFile(name, name, text.encode())])

    with pytest.raises(fhicl.FhiclError, match="printed_bytes"):
        configuration.to_prefix_annotated_string()
    assert len(configuration.to_annotated_string()) < 10_000_000


@pytest.mark.slow
def test_document_in_error_costs_no_more_than_twice_a_good_one() -> None:
    lines = [f"a{number}: {{ x: {number} y: [1, 2] z: 'abc' }}\n" for number in range(2000)]
    good = "".join(lines).encode()
    limit = 2 * cost(good) + 0.05

    for tail in (b"zz: @local::no\n", b"zz: [1,\n", b"zz: 1x\n", b"}\n", b'#include "no"\n'):
        assert cost(good + tail) < limit, tail


def cost(document: bytes) -> float:
    """Return the least CPU time of three readings, in seconds."""
    costs = []
    for _ in range(3):
        forget_sources()
        begun = time.process_time()
        read_only(document)
        costs.append(time.process_time() - begun)
    return min(costs)


def read_only(document: bytes) -> None:
    try:
        fhicl.load_files("main.fcl", [FoundFile("main.fcl", "main.fcl", document)])
    except fhicl.FhiclError:
        return


@pytest.mark.parametrize("document", [b"a: 1\n", b"a: @local::no\n"])
def test_collector_of_cycles_goes_on_after_a_reading(document: bytes) -> None:
    read_only(document)

    assert gc.isenabled()
