"""A graph in the DOT language of Graphviz, sorted, so that equal graphs give equal bytes.

Source: Graphviz, The DOT language, "Quoted strings": a backslash and a double quote are escaped.
"""

from collections.abc import Mapping

from jobprov.provenance.lineage.drawing.captions import safe_url
from jobprov.provenance.lineage.drawing.pencil import COLOURS, UNKNOWN_COLOUR
from jobprov.provenance.lineage.graph import Edge, FileNode, Graph, Node
from jobprov.provenance.lineage.quotient import FoldedGraph, JobClass
from jobprov.provenance.lineage.sentences import full_name, title
from jobprov.provenance.lineage.words import counted, shown

SHAPES = {"failed": "triangle", "killed": "square", "running": "doublecircle", "lost": "diamond"}


def to_dot(graph: Graph) -> str:
    """A digraph from left to right; ends with a line break."""
    lines = ["digraph lineage {", "  rankdir=LR;", '  node [fontname="sans-serif", fontsize=10];']
    for node in sorted(graph.nodes, key=lambda node: node.key):
        is_focus = node.key == graph.focus
        lines.append(f"  {_node(node, is_focus=is_focus)}")
    for edge in sorted(graph.inner_edges(), key=lambda edge: (edge.source, edge.target)):
        lines.append(f"  {_edge(edge)}")
    lines.append("}")
    return "\n".join(lines) + "\n"


def classes_to_dot(folded: FoldedGraph) -> str:
    """A campaign's folded graph as a digraph: a node for each stage, code version and state.

    Ends with a line break.
    """
    lines = ["digraph campaign {", "  rankdir=LR;", '  node [fontname="sans-serif", fontsize=10];']
    for index, job_class in enumerate(folded.classes):
        lines.append(f"  {index} [{_attributes(_class_look(job_class))}];")
    for flow in folded.flows:
        label = _attributes({"label": counted(flow.files, "file")})
        lines.append(f"  {flow.source} -> {flow.target} [{label}];")
    return "\n".join([*lines, "}"]) + "\n"


def quoted(text: str) -> str:
    """The text as a DOT string."""
    escaped = shown(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _node(node: Node, *, is_focus: bool) -> str:
    if isinstance(node, FileNode):
        style = "rounded"
        if node.is_placeholder:
            style = "rounded,dashed"
        elif is_focus:
            style = "rounded,bold"
        attributes = {"label": full_name(node), "shape": "box", "style": style}
    else:
        attributes = {"label": node.stage or node.label or node.job_id, **_state_look(node.state)}
    attributes["tooltip"] = title(node)
    url = safe_url(node.url)
    if url:
        attributes["URL"] = url
    return f"{quoted(node.key)} [{_attributes(attributes)}];"


def _class_look(job_class: JobClass) -> dict[str, str]:
    parts = [
        job_class.stage or "no stage",
        f"{counted(job_class.jobs, 'job')} {job_class.state}",
    ]
    if job_class.code_version:
        parts.append(job_class.code_version)
    return {"label": " · ".join(parts), **_state_look(job_class.state)}


def _state_look(state: str) -> dict[str, str]:
    return {
        "shape": SHAPES.get(state, "ellipse"),
        "style": "dashed" if state == "silent" else "solid",
        "color": COLOURS.get(state, UNKNOWN_COLOUR),
    }


def _attributes(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={quoted(value)}" for name, value in values.items())


def _edge(edge: Edge) -> str:
    look = "" if edge.is_sure else " [style=dashed]"
    return f"{quoted(edge.source)} -> {quoted(edge.target)}{look};"
