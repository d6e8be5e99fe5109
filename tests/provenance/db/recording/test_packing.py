"""Frames: many at once are the bytes that each would have had alone."""

import pytest

from jobprov.provenance.db.recording.packing import pack, pack_all, unpack


@pytest.mark.parametrize("count", [0, 1, 4, 5, 300])
def test_documents_packed_together_are_those_packed_alone(count: int) -> None:
    bodies = [b'{"job": %d, "text": "%s"}' % (number, b"abc" * number) for number in range(count)]

    packed = pack_all(bodies)

    assert packed == [pack(body) for body in bodies]
    assert [unpack(frame) for frame in packed] == bodies
