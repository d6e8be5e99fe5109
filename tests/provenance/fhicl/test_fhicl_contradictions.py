"""What art itself does to a configuration is no contradiction; anything else is."""

import pytest

from jobprov.provenance.fhicl import loads
from jobprov.provenance.fhicl.running.contradictions import contradictions

PARSED = (
    "process_name: Reco physics: {producers: {slicer: {threshold: 5}} end_paths: []} outputs: "
    "{out1: {module_type: RootOutput}}\n"
)


@pytest.mark.parametrize(
    ("added", "told"),
    [
        (
            (
                'outputs.out1: {module_type: RootOutput fileName: "a.root" dataTier: '
                '"reco" streamName: "out1" module_label: out1}'
            ),
            [],
        ),
        ("services: {IFDH: {} FileCatalogMetadata: {group: nova} Tracer: {}}", []),
        (
            (
                "outputs.defaultOutput: {module_type: RootOutput} physics.injected_end_path_1: "
                "[defaultOutput]"
            ),
            [],
        ),
        ("physics.end_paths: [injected_end_path_1]", []),
        ("physics.producers.slicer.threshold: 6", ["physics.producers.slicer.threshold"]),
        (
            "outputs.out1.module_type: Other services.Geometry.name: near",
            ["outputs.out1.module_type", "services.Geometry.name"],
        ),
    ],
)
def test_only_what_art_does_not_do_is_a_contradiction(added: str, told: list[str]) -> None:
    found = contradictions(loads(PARSED), loads(f"{PARSED}{added}\n"))

    assert sorted(path for path, _, _ in found) == told
