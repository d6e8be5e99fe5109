"""What a file cost, in words."""

from jobprov.app.web.histories.costs import cost_sentence
from jobprov.provenance.answers.histories.costs import CostSum, FileCost
from jobprov.provenance.answers.names import FileName


def test_time_on_the_clock_beside_cpu_time_is_named() -> None:
    made = CostSum(2, 0, wall_seconds=7200, cpu_seconds=3600, output_bytes=None)
    failed = CostSum(1, 0, wall_seconds=3600, cpu_seconds=None, output_bytes=None)
    file = FileName("a.root", "", "nova", "/files/a.root")

    sentence = cost_sentence(FileCost(file, 1, 1, 3, made, failed, [], is_truncated=False))

    assert " ".join(sentence.split()) == (
        "2 jobs took 1 h of CPU; 1 attempt failed and took another 1 h of wall time."
    )
