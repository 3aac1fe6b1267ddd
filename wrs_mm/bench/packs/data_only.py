"""Is a config that somebody else packed data and nothing else?

Mmengine reads a config by running it. A run's resolved config is the text of nested dicts, lists and
constants; one that holds anything else could do anything here, and is not taken from a pack.
"""

from __future__ import annotations

import ast

_DATA = (
    *(ast.Module, ast.Assign, ast.Name, ast.Store, ast.Load),
    *(ast.Constant, ast.Dict, ast.List, ast.Tuple, ast.Set),
    *(ast.UnaryOp, ast.USub, ast.UAdd, ast.Call, ast.keyword),
)
"""What the text of data parses to."""

_TAKEN = ("dict", "_base_")
"""Names that mean something to whoever reads a config: mmengine reads the files that ``_base_`` lists."""


def is_data(text: str) -> bool:
    """Whether a Python text only gives names to constants, and to dicts, lists, tuples and sets of them."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(_is_data(node) for node in ast.walk(tree))


def _is_data(node: ast.AST) -> bool:
    if isinstance(node, ast.Assign):
        return len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)
    if isinstance(node, ast.Name):
        return (node.id in _TAKEN) != isinstance(node.ctx, ast.Store) and node.id != "_base_"
    if isinstance(node, ast.Call):
        return not node.args and all(keyword.arg is not None for keyword in node.keywords)
    return isinstance(node, _DATA)
