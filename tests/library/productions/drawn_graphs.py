"""Strategies for graphs of any shape, cycles, doubled edges and unknown ends included."""

from hypothesis import strategies as st

from jobprov.provenance.lineage.graph import Edge, FileNode, Graph, JobNode, Omitted

NAMES = st.text(st.characters(exclude_characters="/"), min_size=1, max_size=40)
STATES = st.sampled_from(
    ["succeeded", "succeeded", "succeeded", "failed", "running", "silent", "paused"]
)
ROLES = st.sampled_from(["", "primary", "shared", "configuration"])


def _file(key: str) -> st.SearchStrategy[FileNode]:
    tiers = st.sampled_from(["raw", "reco", None])
    return st.builds(FileNode, st.just(key), NAMES, data_tier=tiers, is_placeholder=st.booleans())


def _job(key: str) -> st.SearchStrategy[JobNode]:
    stages = st.sampled_from(["reco", "pid", None])
    return st.builds(JobNode, st.just(key), st.just(f"id-{key}"), state=STATES, stage=stages)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Files and jobs with edges between the two kinds, in any direction."""
    files = draw(st.integers(1, 12))
    jobs = draw(st.integers(0, 10))
    nodes = [draw(_file(f"f{n}")) for n in range(files)] + [
        draw(_job(f"j{n}")) for n in range(jobs)
    ]
    ends = st.tuples(st.integers(0, files), st.integers(0, jobs), st.booleans())
    edges = [
        Edge(f"f{f}", f"j{j}", draw(st.booleans()), draw(ROLES))
        if consumes
        else Edge(f"j{j}", f"f{f}")
        for f, j, consumes in draw(st.lists(ends, max_size=40))
    ]
    omitted = draw(
        st.sampled_from([Omitted(), Omitted({"reco": 3}, {"job": 3}, 2, 1, {"f0": 2}, {"j0": 1})])
    )
    return Graph("f0", tuple(nodes), tuple(edges), omitted)
