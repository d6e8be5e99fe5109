"""A graph in the DOT language of Graphviz, sorted, so that equal graphs give equal bytes.

Source: Graphviz, The DOT language, "Quoted strings": a backslash and a double quote are escaped.
"""

from provenance.lineage.captions import safe_url
from provenance.lineage.graph import Edge, FileNode, Graph, Node
from provenance.lineage.marks import COLOURS, UNKNOWN_COLOUR
from provenance.lineage.words import full_name, shown, title

SHAPES = {"failed": "triangle", "killed": "square", "running": "doublecircle", "lost": "diamond"}


def to_dot(graph: Graph) -> str:
    """A digraph from left to right; ends with a line break."""
    nodes = sorted(graph.nodes, key=lambda node: node.key)
    edges = sorted(graph.inner_edges(), key=lambda edge: (edge.source, edge.target))
    lines = ["digraph lineage {", "  rankdir=LR;", '  node [fontname="sans-serif", fontsize=10];']
    lines += [f"  {_node(node, is_focus=node.key == graph.focus)}" for node in nodes]
    lines += [f"  {_edge(edge)}" for edge in edges]
    return "\n".join([*lines, "}"]) + "\n"


def quoted(text: str) -> str:
    """The text as a DOT string."""
    escaped = shown(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _node(node: Node, *, is_focus: bool) -> str:
    if isinstance(node, FileNode):
        style = "rounded,dashed" if node.is_placeholder else "rounded,bold" if is_focus else "rounded"
        attributes = {"label": full_name(node), "shape": "box", "style": style}
    else:
        attributes = {
            "label": node.stage or node.label or node.job_id,
            "shape": SHAPES.get(node.state, "ellipse"),
            "style": "dashed" if node.state == "silent" else "solid",
            "color": COLOURS.get(node.state, UNKNOWN_COLOUR),
        }
    attributes["tooltip"] = title(node)
    if url := safe_url(node.url):
        attributes["URL"] = url
    return f"{quoted(node.key)} [{', '.join(f'{name}={quoted(value)}' for name, value in attributes.items())}];"


def _edge(edge: Edge) -> str:
    look = "" if edge.is_sure else " [style=dashed]"
    return f"{quoted(edge.source)} -> {quoted(edge.target)}{look};"
