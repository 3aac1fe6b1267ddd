"""A YAML file that knows its lines: where in it each value stands, so that a mistake can be shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from wrs_mm.bench.plan.mistakes import Location
from wrs_mm.errors import PlanError

_MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, with YAML 1.2's floats (``1e-4``), dates as text, and no repeated keys."""


_Loader.yaml_implicit_resolvers = {
    first: [entry for entry in entries if entry[0] != "tag:yaml.org,2002:timestamp"]
    for first, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
}

_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


def _mapping_without_repeats(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [(key, loader.construct_object(key)) for key, _ in node.value if key.tag != _MERGE]
    seen: list[Any] = []
    for key_node, key in keys:
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"{key!r} is written twice", key_node.start_mark
            )
        seen.append(key)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping_without_repeats)


class PlanFile:
    """The content of a plan's file, and the line of every value in it.

    Args:
        path: The YAML file.

    Raises:
        PlanError: It cannot be read or is not YAML; the message names the line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        text = _text(path)
        try:
            self.content, self._lines = _parse(text)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            where = f", line {mark.line + 1}" if mark else ""
            raise PlanError(f"{path}{where}: not valid YAML: {error.problem}") from None
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            raise PlanError(f"{path}, line {line}: not valid YAML: {error.reason}") from None

    def line(self, location: Location) -> int | None:
        """The line of a value, or of the innermost one around it that the file has; None for the file."""
        for length in range(len(location), 0, -1):
            if location[:length] in self._lines:
                return self._lines[location[:length]]
        return None

    def error(self, message: str, location: Location = ()) -> PlanError:
        """A mistake in this file: ``plan.yaml, line 7: …``."""
        line = self.line(location)
        where = f", line {line}" if line else ""
        return PlanError(f"{self.path}{where}: {message}")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise PlanError(f"{path}: cannot be read ({reason}); give the path of a plan") from None


def _parse(text: str) -> tuple[Any, dict[Location, int]]:
    """The content of a YAML text and the lines of its values."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None, {}
        # The lines first: constructing an object replaces the merge keys of its node.
        lines = dict(_lines(loader, node))
        return loader.construct_document(node), lines
    finally:
        loader.dispose()


def _lines(
    loader: _Loader, node: yaml.Node, location: Location = (), above: tuple[int, ...] = ()
) -> Iterator[tuple[Location, int]]:
    """Yield the location and the line, from 1, of every value in a node."""
    if id(node) in above:
        raise yaml.constructor.ConstructorError(None, None, "an anchor holds itself", node.start_mark)
    above = (*above, id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield (*location, index), item.start_mark.line + 1
            yield from _lines(loader, item, (*location, index), above)
    elif isinstance(node, yaml.MappingNode):
        # What is merged in first: the mapping's own keys come after it and replace its lines.
        for key, value in sorted(node.value, key=lambda pair: pair[0].tag != _MERGE):
            if key.tag == _MERGE:
                for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    yield from _lines(loader, source, location, above)
                continue
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key must be plain text", key.start_mark
                )
            inner = (*location, loader.construct_object(key))
            yield inner, key.start_mark.line + 1
            yield from _lines(loader, value, inner, above)
