"""Reading YAML that anybody may have written, at a cost that its length bounds."""

from __future__ import annotations

from typing import Any

import yaml

_MORE = 1_000_000  # values that aliases may add to those that are written out


def load(text: str | bytes, loader: Any = yaml.SafeLoader) -> Any:
    """Give what a document holds, as a safe ``loader`` of PyYAML's makes it.

    Whatever is wrong with it is `yaml.YAMLError`, also what PyYAML itself trips over: a value that
    is not of the type that it says, nesting without end, and a few lines whose aliases repeat one
    another until they fill the memory.
    """
    reading = loader(text)
    try:
        node = reading.get_single_node()
        if node is None:
            return None
        _count(node, len(text) + _MORE, {})
        return reading.construct_document(node)
    except RecursionError:
        raise yaml.YAMLError("it is nested too deeply") from None
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        raise yaml.YAMLError(f"it holds a wrong value: {error}") from None
    finally:
        reading.dispose()


def _count(node: yaml.Node, most: int, known: dict[int, int]) -> int:
    """Count a node with all that is in it, as often as it is referred to."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in known:
        known[id(node)] = most  # what contains itself has no end
        is_mapping = isinstance(node, yaml.MappingNode)
        inner = [part for pair in node.value for part in pair] if is_mapping else node.value
        known[id(node)] = 1 + sum(_count(part, most, known) for part in inner)
    if known[id(node)] >= most:
        raise yaml.YAMLError("its aliases repeat one another without end")
    return known[id(node)]
