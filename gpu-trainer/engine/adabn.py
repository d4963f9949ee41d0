"""Adaptive batch normalisation (Li et al. 2017): the same weights, with the batch statistics of another domain."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def batch_norms(module: nn.Module) -> list[nn.BatchNorm2d]:
    return [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)]


def set_statistics(module: nn.Module, batches: Sequence[Tensor], prior_rows: float = 0.0) -> None:
    """Every batch norm's running mean and variance := those of its own input over all n rows of `batches`, the present ones counting as
    `prior_rows` rows: (N m + n m̂) / (N + n), as few rows alone are too rough a measure (Schneider et al. 2020).

    Layer after layer in the order of the forward pass, each measured with the layers below already changed: the result does not depend on
    how the rows are cut into batches, which one pass in training mode would.
    """
    module.eval()
    rows = sum(len(b) for b in batches)
    share = rows / (rows + prior_rows)
    order: list[nn.BatchNorm2d] = []

    def note(layer: nn.Module, _: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, nn.BatchNorm2d)
        order.append(layer)

    hooks = [n.register_forward_pre_hook(note) for n in batch_norms(module)]
    with torch.no_grad():
        module(batches[0][:1])
    for hook in hooks:
        hook.remove()
    for layer in order:
        count, total, squares = 0, torch.zeros_like(layer.weight, dtype=torch.float64), torch.zeros_like(layer.weight, dtype=torch.float64)

        def measure(_: nn.Module, given: tuple[Tensor, ...]) -> None:
            nonlocal count, total, squares
            x = given[0].double()
            count += x.numel() // x.shape[1]
            total = total + x.sum(dim=(0, 2, 3))
            squares = squares + x.square().sum(dim=(0, 2, 3))

        hook = layer.register_forward_pre_hook(measure)
        with torch.no_grad():
            for batch in batches:
                module(batch)
        hook.remove()
        mean = total / count
        variance = (squares / count - mean.square()).clamp_min(0) * (count / max(count - 1, 1))
        with torch.no_grad():
            assert layer.running_mean is not None and layer.running_var is not None
            layer.running_mean.lerp_(mean.to(layer.running_mean.dtype), share)
            layer.running_var.lerp_(variance.to(layer.running_var.dtype), share)
