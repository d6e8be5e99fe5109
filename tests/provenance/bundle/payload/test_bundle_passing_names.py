"""Names that no rerun repeats: which part of them is a time or an id."""

import fnmatch
import uuid

import pytest

from jobprov.provenance.bundle.payload.passing_names import passing_pattern

NAMES = {
    "reco_20260301T101500Z_12.root": "reco_*_12.root",
    "fnal-w24-sim-2026-03-01T10:15:00.123456Z.hdf5": "fnal-w24-sim-*.hdf5",
    "prod_2026.03.01-101500.root": "prod_*.root",
    "hist_1772360100.root": "hist_*.root",
    "hist_1772360100123_4.root": "hist_*_4.root",
    "m_0f8b6a4e-3c51-5a0e-9c3f-000000000017.root": "m_*.root",
    "a[1]*_20260301.root": r"a\[1\]\*_*.root",
}


@pytest.mark.parametrize("name", NAMES)
def test_time_or_id_in_a_name_may_be_another(name: str) -> None:
    assert passing_pattern(name) == NAMES[name]


@pytest.mark.parametrize(
    "name",
    [
        "reco_7.root",
        "dts.mu2e.CeEndpoint.MDC2020r.001210_00000000.art",  # run and subrun
        "PhysicsRun-2023_5_15_4_31_7-fstrmADC_run19123_1.root",
        "np04hd_raw_run028850_0123_dataflow3_datawriter_0.hdf5",
        "neardet_r00012345_s17_t00_R23-11-14.d_v1_data.root",
        "file_99991301_1.root",  # no day
        "",
    ],
)
def test_number_of_an_experiment_is_none(name: str) -> None:
    assert passing_pattern(name) == ""


def test_pattern_fits_names_of_other_moments_alone() -> None:
    pattern = passing_pattern(f"m_{uuid.uuid4()}_12.root")

    assert fnmatch.fnmatchcase(f"m_{uuid.uuid4()}_12.root", pattern)
    assert not fnmatch.fnmatchcase(f"m_{uuid.uuid4()}_13.root", pattern)
