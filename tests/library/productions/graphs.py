"""Graphs as productions make them, for tests and for looking at."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from jobprov.provenance.lineage.graph import Edge, FileNode, Graph, JobNode, Omitted
from jobprov.provenance.lineage.quotient import Flow, FoldedGraph, JobClass

Sample = Callable[[], Graph]
START = datetime(2026, 11, 24, 2, 10, tzinfo=UTC)


class GraphBuilder:
    """Builds a graph step by step; the methods return keys."""

    def __init__(self) -> None:
        self.nodes: list[FileNode | JobNode] = []
        self.edges: list[Edge] = []

    def file(
        self, name: str, tier: str = "raw", size: int | None = 2_400_000_000, **more: object
    ) -> str:
        key = f"f{len(self.nodes)}"
        self.nodes.append(
            FileNode(
                key,
                name,
                "nova",
                "nova",
                size_bytes=size,
                data_tier=tier,
                url=f"/files/{key}",
                **more,
            )  # type: ignore[arg-type]
        )
        return key

    def job(
        self, stage: str, inputs: list[str], *, state: str = "succeeded", code: str = "S24-01-01"
    ) -> str:
        key = f"j{len(self.nodes)}"
        started = START + timedelta(minutes=len(self.nodes))
        self.nodes.append(
            JobNode(
                key, f"0f8b{len(self.nodes):08d}", f"81234.{len(self.nodes)}", state, stage,
                f"nova-prod5-{stage}-0042", "prod5", code, started, f"/jobs/{key}",
            )
        )  # fmt: skip
        for name in inputs:
            self.edges.append(Edge(name, key, role="primary"))
        return key

    def made(self, job: str, name: str, tier: str, **more: object) -> str:
        key = self.file(name, tier, **more)  # type: ignore[arg-type]
        self.edges.append(Edge(job, key))
        return key

    def shared(self, job: str, *files: str) -> None:
        self.edges.extend(Edge(key, job, role="shared") for key in files)

    def graph(self, focus: str, **more: object) -> Graph:
        return Graph(focus, tuple(self.nodes), tuple(self.edges), **more)  # type: ignore[arg-type]


def chain() -> Graph:
    p = GraphBuilder()
    last = p.file("fardet_r00010407_s12_t00.raw", "raw")
    for stage in ("artdaq", "reco", "pid", "caf"):
        last = p.made(p.job(stage, [last]), f"fardet_r00010407_s12_t00_{stage}.root", stage)
    return p.graph(last)


def long_chain() -> Graph:
    p = GraphBuilder()
    last = p.file("fardet_r00010407_s12_t00.raw", "raw")
    for stage in (
        "artdaq",
        "calib",
        "reco",
        "slicer",
        "track",
        "pid",
        "energy",
        "caf",
        "decaf",
        "plot",
    ):
        last = p.made(p.job(stage, [last]), f"fardet_r00010407_s12_{stage}.root", stage)
    return p.graph(last)


def merge() -> Graph:
    p = GraphBuilder()
    fcl = p.file("reco_prod5.fcl", "fcl", 4_100)
    geometry = p.file("fardet_geometry_v7.gdml", "geometry", 88_000_000)
    outputs = []
    for run in range(10):
        raw = p.file(f"fardet_r000104{run:02d}.raw")
        job = p.job("reco", [raw])
        p.shared(job, fcl, geometry)
        outputs.append(p.made(job, f"fardet_r000104{run:02d}_reco.root", "reco"))
    job = p.job("merge", outputs)
    return p.graph(p.made(job, "fardet_prod5_reco_merged.root", "reco", size=24_000_000_000))


def skim() -> Graph:
    p = GraphBuilder()
    focus = p.file("prod5_reco_merged.root", "reco")
    job = p.job("skim", [focus])
    numu = p.made(job, "prod5_numu_skim.root", "skim")
    nue = p.made(job, "prod5_nue_skim.root", "skim")
    p.made(p.job("histogram", [numu]), "numu_histograms.root", "plot", size=81_000)
    p.made(p.job("histogram", [nue], state="running"), "nue_histograms.root", "plot", size=None)
    return p.graph(focus)


def retried() -> Graph:
    p = GraphBuilder()
    outputs = []
    for run in range(10):
        raw = p.file(f"fardet_r000104{run:02d}.raw")
        if run == 7:
            p.job("reco", [raw], state="failed")
            p.job("reco", [raw], state="killed")
        outputs.append(p.made(p.job("reco", [raw]), f"fardet_r000104{run:02d}_reco.root", "reco"))
    job = p.job("merge", outputs)
    return p.graph(p.made(job, "fardet_prod5_merged.root", "reco"))


def retried_folded() -> FoldedGraph:
    """Return `retried` as the database folds it."""
    classes = (
        JobClass("merge", "S24-01-01", "succeeded", 1, outputs=1),
        JobClass("reco", "S24-01-01", "failed", 1),
        JobClass("reco", "S24-01-01", "killed", 1),
        JobClass("reco", "S24-01-01", "succeeded", 10, outputs=10),
    )
    return FoldedGraph(classes, (Flow(3, 0, 10),))


def states() -> Graph:
    p = GraphBuilder()
    raw = p.file("fardet_r00010407.raw")
    for state in ("failed", "killed", "lost", "silent", "running", "succeeded", "paused"):
        job = p.job("reco", [raw], state=state)
    focus = p.made(job, "fardet_r00010407_reco.root", "reco", version=2)
    return p.graph(focus)


def large() -> Graph:
    """114 files and 96 jobs: two campaigns' chains into a merge.

    There are some failures, shared inputs and a side input.
    """
    p = GraphBuilder()
    fcl = [p.file(name, "fcl", 4_000) for name in ("reco.fcl", "geometry.fcl", "pid.fcl")]
    outputs = []
    for run in range(30):
        code = "S24-01-01" if run < 22 else "S24-02-10"
        last = p.file(f"fardet_r000104{run:02d}_t00.raw")
        if run in (4, 17):
            p.job("reco", [last], state="failed", code=code)
        for stage in ("reco", "pid", "caf"):
            job = p.job(stage, [last], code=code)
            p.shared(job, *fcl)
            last = p.made(job, f"fardet_r000104{run:02d}_t00_{stage}.root", stage)
        outputs.append(last)
    flux = p.file("flux_rhc_2024.root", "flux", is_placeholder=True)
    merged = p.made(p.job("concat", [*outputs, flux]), "prod5_caf_concat_part3.root", "caf")
    return p.graph(p.made(p.job("decaf", [merged]), "prod5_decaf_part3.root", "decaf"))


def large_folded() -> FoldedGraph:
    """Return `large` as the database folds it."""
    classes = (
        JobClass("caf", "S24-01-01", "succeeded", 22, outputs=22),
        JobClass("caf", "S24-02-10", "succeeded", 8, outputs=8),
        JobClass("concat", "S24-01-01", "succeeded", 1, outputs=1),
        JobClass("decaf", "S24-01-01", "succeeded", 1, outputs=1),
        JobClass("pid", "S24-01-01", "succeeded", 22, outputs=22),
        JobClass("pid", "S24-02-10", "succeeded", 8, outputs=8),
        JobClass("reco", "S24-01-01", "failed", 2),
        JobClass("reco", "S24-01-01", "succeeded", 22, outputs=22),
        JobClass("reco", "S24-02-10", "succeeded", 8, outputs=8),
    )
    flows = (
        Flow(0, 2, 22),
        Flow(1, 2, 8),
        Flow(2, 3, 1),
        Flow(4, 0, 22),
        Flow(5, 1, 8),
        Flow(7, 4, 22),
        Flow(8, 5, 8),
    )
    return FoldedGraph(classes, flows)


def placeholders() -> Graph:
    p = GraphBuilder()
    known = p.file(
        "cosmic_overlay_r10407_with_a_very_long_name_that_nobody_can_read_20261124.root", "overlay"
    )
    unknown = [p.file(f"genie_{n}.root", "mc", None, is_placeholder=True) for n in range(2)]
    job = p.job("mix", [known, *unknown])
    p.edges[-1] = Edge(unknown[1], job, is_sure=False, role="secondary")
    return p.graph(p.made(job, "mixed_r10407.root", "mc"))


def truncated() -> Graph:
    p = GraphBuilder()
    raw = [p.file(f"raw_{n}.root") for n in range(3)]
    job = p.job("merge", raw)
    focus = p.made(job, "merged.root", "reco")
    user = p.job("skim", [focus])
    omitted = Omitted(
        {"reco": 311, "artdaq": 311},
        {"file": 700, "job": 622},
        1_322,
        57,
        {job: 308, raw[0]: 1},
        {user: 4, focus: 57},
    )
    return p.graph(focus, omitted=omitted, is_truncated=True)


def cycle() -> Graph:
    p = GraphBuilder()
    first = p.file("a.root")
    job = p.job("odd", [first])
    second = p.made(job, "b.root", "reco")
    back = p.job("odder", [second])
    p.edges.append(Edge(back, first))
    focus = p.made(p.job("reco", [second]), "c.root", "reco")
    return p.graph(focus)


def side_inputs() -> Graph:
    """A chain that cannot be folded, as each of its jobs reads something else too."""
    p = GraphBuilder()
    last = p.file("fardet_r00010407.raw")
    for stage in ("artdaq", "calib", "reco", "slicer", "track", "pid", "caf"):
        job = p.job(stage, [last, p.file(f"{stage}_table.root", "calib")])
        last = p.made(job, f"fardet_r00010407_{stage}.root", stage)
    return p.graph(last)


def hostile() -> Graph:
    p = GraphBuilder()
    bad = p.file("<script>alert(1)</script>&\"'>.root", "]]><svg onload=alert(1)>")
    other = p.file("\x1b[31mred\u202egnp.exe\u2028.root")
    job = p.job("<img src=x onerror=alert(1)>", [bad, other], state='"><script>')
    return p.graph(
        p.made(job, "日本語のとても長いファイル名前がここにあります_2026_11_24_総合.root", "reco")
    )


SAMPLES = (
    chain, long_chain, merge, skim, retried, states, large, placeholders, truncated, cycle, hostile,
    side_inputs,
)  # fmt: skip
