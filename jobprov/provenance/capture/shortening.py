"""Shortens the local names of functions, for the hook's file alone: only readers need to know them.

Tracebacks name functions and lines, and these stay. A name is shortened only where one function
assigns it and nothing else can mean it: parameters keep theirs, since callers may name them, and so
does whatever has the name of something in the module or of Python's own.

This module is not in the hook.
"""

import ast
import builtins
import itertools
import keyword
import string
from typing import Dict, Iterator, List, Set, Tuple


def shorten(source: str) -> str:
    """Return Python source in which local names are short, with the same lines."""
    lines = source.encode("utf-8").split(b"\n")  # the columns of a syntax tree count bytes
    changes: List[Tuple[int, int, bytes, bytes]] = []
    tree = ast.parse(source)
    shared = _names_in_module(tree) | set(dir(builtins))
    for function in _functions(tree):
        uses = _uses_of_names(function)
        short_names = _short_names(uses, shared | _names_to_keep(function))
        for name, short in short_names.items():
            for use in uses[name]:
                changes.append((use.lineno - 1, use.col_offset, name.encode(), short.encode()))
    for row, column, name_bytes, short_bytes in sorted(changes, reverse=True):
        end = column + len(name_bytes)
        lines[row] = lines[row][:column] + short_bytes + lines[row][end:]
    return b"\n".join(lines).decode("utf-8")


def _functions(node: ast.AST) -> Iterator[ast.FunctionDef]:
    """Yield functions and methods; those in a function are a part of it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef):
            yield child
        elif isinstance(child, ast.stmt):
            yield from _functions(child)


def _uses_of_names(function: ast.FunctionDef) -> Dict[str, List[ast.Name]]:
    """Return the places of each name in a function."""
    uses: Dict[str, List[ast.Name]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Name):
            uses.setdefault(node.id, []).append(node)
    return uses


def _short_names(uses: Dict[str, List[ast.Name]], kept: Set[str]) -> Dict[str, str]:
    """Return {name: short name} of what is assigned, in the order in which the names come."""
    taken = kept | set(uses)
    short_names: Dict[str, str] = {}
    fresh = (short for short in _all_short_names() if short not in taken)
    for name in sorted(uses, key=lambda name: (uses[name][0].lineno, uses[name][0].col_offset)):
        is_assigned = any(not isinstance(use.ctx, ast.Load) for use in uses[name])
        if is_assigned and name not in kept and len(name) > 1:
            short_names[name] = next(fresh)
    return short_names


def _all_short_names() -> Iterator[str]:
    for length in itertools.count(1):
        for letters in itertools.product(string.ascii_lowercase, repeat=length):
            if not keyword.iskeyword("".join(letters)):
                yield "".join(letters)


def _names_in_module(tree: ast.Module) -> Set[str]:
    """Return the names that any function of a module can see."""
    names: Set[str] = set()
    for statement in tree.body:
        if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            names.add(statement.name)
            continue
        names |= _names_to_keep(statement)
        names |= {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
    return names


def _names_to_keep(statement: ast.stmt) -> Set[str]:
    """Return the names that a function or another statement gets in other ways than assignment."""
    names: Set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            names.update(node.names)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, (ast.ExceptHandler, ast.FunctionDef, ast.ClassDef)):
            names.add(node.name or "")
    return names
