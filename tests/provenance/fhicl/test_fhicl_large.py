"""A configuration as large as the largest known: time, sharing and threads."""

import runpy
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jobprov.provenance import fhicl
from jobprov.provenance.fhicl.loading import forget_sources
from jobprov.provenance.fhicl.reading.includer import SourceMemory

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "fhicl.py"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return runpy.run_path(str(BENCHMARK))["write_large_configuration"](
        tmp_path_factory.mktemp("large")
    )


@pytest.mark.slow
def test_expansion_of_9_megabytes_in_1737_inclusions_is_evaluated_in_time(large: Path) -> None:
    forget_sources()
    started = time.process_time()

    configuration = fhicl.load(large, [large.parent])

    assert time.process_time() - started < 5
    assert len(configuration.opened) == 1738
    assert len(configuration.files) == 81
    assert 9.4e6 < configuration.expanded_size < 9.9e6


@pytest.mark.slow
def test_text_without_its_includes_is_the_same_configuration(large: Path) -> None:
    configuration = fhicl.load(large, [large.parent])

    flat = fhicl.loads(configuration.expanded)

    assert flat.parameter_set_id == configuration.parameter_set_id
    assert not fhicl.diff(flat, configuration)


@pytest.mark.slow
def test_threads_that_read_the_same_new_files_agree(large: Path) -> None:
    expected = fhicl.load(large, [large.parent]).parameter_set_id
    forget_sources()

    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(lambda _: fhicl.load(large, [large.parent]).parameter_set_id, range(8))
        )

    assert found == [expected] * 8


def test_files_are_remembered_by_path_and_digest_up_to_a_limit() -> None:
    memory = SourceMemory(most_characters=30)

    first = memory.split("a.fcl", "1", b"a: 1 # 12\n")
    assert memory.split("a.fcl", "1", b"a: 1 # 12\n") is first
    assert memory.split("b.fcl", "1", b"a: 1 # 12\n") is not first
    memory.split("c.fcl", "2", b"c: 1 # 12\n")
    memory.split("a.fcl", "1", b"a: 1 # 12\n")
    memory.split("d.fcl", "3", b"d: 1 # 12\n")

    assert memory.split("a.fcl", "1", b"a: 1 # 12\n") is first


@pytest.mark.slow
def test_lines_are_found_in_files_of_many_lines() -> None:
    text = "".join(f"a{number}: {number}\n\n" for number in range(50_000))

    configuration = fhicl.loads(text, name="many.fcl")
    started = time.process_time()
    lines = [parameter.origin.line for parameter in configuration.parameters() if parameter.origin]

    assert sorted(lines) == list(range(1, 100_000, 2))
    assert time.process_time() - started < 5
