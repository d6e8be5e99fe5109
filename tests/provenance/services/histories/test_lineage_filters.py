"""Histories of which only some nodes are shown."""

from itertools import permutations

from jobprov.provenance.db.queries.histories.whole_histories import History
from jobprov.provenance.services.histories.lineage_filters import _joined

_SURE, _POSSIBLE = True, False
_LINKS = [
    ("c1", "j1", _POSSIBLE),
    ("c1", "j2", _SURE),
    ("j1", "c2", _SURE),
    ("j2", "c3", _SURE),
    ("c2", "j3", _SURE),
    ("c3", "j3", _SURE),
    ("j3", "c4", _SURE),
]


def test_link_via_hidden_nodes_is_sure_if_one_of_the_ways_is() -> None:
    hidden = {"j1", "j2", "c2", "c3", "j3"}
    for first_links in permutations(_LINKS[:3]):
        history = History("c1")
        for source, target, is_sure in [*first_links, *_LINKS[3:]]:
            history.join(source, target, is_sure=is_sure)

        joined = _joined(history, ["c1", "c4"], hidden)

        assert joined.is_whole
        assert {ends: link.is_sure for ends, link in joined.links.items()} == {("c1", "c4"): True}


def test_link_via_hidden_nodes_is_possible_if_no_way_is_sure() -> None:
    history = History("c1")
    for source, target, is_sure in _LINKS:
        history.join(source, target, is_sure=is_sure and (source, target) != ("j3", "c4"))

    links = _joined(history, ["c1", "c4"], {"j1", "j2", "c2", "c3", "j3"}).links

    assert not links["c1", "c4"].is_sure


def test_shown_node_that_is_met_by_a_possible_link_first_is_sure_by_a_later_one() -> None:
    history = History("c1")
    history.join("c1", "j1", is_sure=True)
    history.join("c1", "j2", is_sure=True)
    history.join("j2", "c4", is_sure=False)
    history.join("j1", "c4", is_sure=True)

    links = _joined(history, ["c1", "c4"], {"j1", "j2"}).links

    assert links["c1", "c4"].is_sure
