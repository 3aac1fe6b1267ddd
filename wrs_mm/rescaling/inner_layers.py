"""Which weights another layer with a weight comes after, in one forward; the last ones are classifiers."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from wrs_mm.rescaling.labels import tensors_in
from wrs_mm.rescaling.models import weights_of


@contextmanager
def inner_weights(model: nn.Module) -> Iterator[set[str]]:
    """Watch a training forward; the set holds afterwards the names of weights that another one follows.

    It follows autograd's graph back from the input of each layer to the layers before it. What autograd does
    not see, as the inside of reentrant activation checkpoints, is followed by nothing.
    """
    names = {id(weight): name for name, weight, _ in weights_of(model)}
    made: dict[Any, str] = {}
    seen: set[Any] = set()
    inner: set[str] = set()

    def before(_: nn.Module, inputs: tuple[Any, ...], more: dict[str, Any]) -> None:
        nodes = [t.grad_fn for t in tensors_in([inputs, more]) if t.grad_fn is not None]
        while nodes:
            node = nodes.pop()
            if node in made:
                inner.add(made[node])
            elif node not in seen:
                seen.add(node)
                nodes += [previous for previous, _ in node.next_functions if previous is not None]

    def after(_: nn.Module, __: Any, output: Any, name: str) -> None:
        made.update((t.grad_fn, name) for t in tensors_in(output) if t.grad_fn is not None)

    handles = []
    for module in model.modules():
        key = "in_proj_weight" if isinstance(module, nn.MultiheadAttention) else "weight"
        weight = module._parameters.get(key)
        if weight is not None and id(weight) in names:
            handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
            handles.append(module.register_forward_hook(functools.partial(after, name=names[id(weight)])))
    try:
        yield inner
    finally:
        for handle in handles:
            handle.remove()
        # They hold the graph.
        made.clear()
        seen.clear()
