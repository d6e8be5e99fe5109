"""Frames: many at once are the bytes that each would have had alone."""

import pytest

from provenance.db.recording.environments import SharedVariables
from provenance.db.recording.packing import pack, pack_all, unpack


@pytest.mark.parametrize("count", [0, 1, 4, 5, 300])
def test_documents_packed_together_are_those_packed_alone(count: int) -> None:
    bodies = [b'{"job": %d, "text": "%s"}' % (number, b"abc" * number) for number in range(count)]

    packed = pack_all(bodies)

    assert packed == [pack(body) for body in bodies]
    assert [unpack(frame) for frame in packed] == bodies


@pytest.mark.parametrize("count", [1, 5, 40])
def test_differences_of_many_environments_are_those_of_each(count: int) -> None:
    shared = SharedVariables(pack(b'{"HOME":"/home/nova","LANG":"C","PATH":"/bin"}'))
    equal = {"HOME": "/home/nova", "LANG": "C", "PATH": "/bin"}
    listed = [equal, *({"HOME": f"/home/{number}", "NEW": "é" * number, "PATH": "/bin"} for number in range(count))]

    differences = shared.differences(listed)

    assert differences == [shared.difference(variables) for variables in listed]
    assert differences[0] is None
    assert [shared.apply(difference) for difference in differences] == listed
