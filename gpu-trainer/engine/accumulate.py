"""One gradient of a whole batch, in as many pieces as the memory needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .failures import is_out_of_memory
from .heads import Ints

if TYPE_CHECKING:
    from .tune import State


def accumulate(state: State, target: Ints, weight: Tensor, backward: Callable[[Ints, float], float]) -> float:
    """Calls `backward(part, share)` for each piece and returns the batch's loss. When memory runs out the pieces are halved and the batch starts
    anew; the state remembers it. A piece counts by the weights of its rows, so that the sum is the weighted mean over the batch."""
    counted = state.criterion.counted(weight, target)
    while True:
        state.optimiser.zero_grad(set_to_none=True)
        loss = 0.0
        try:
            for part in state.criterion.split(len(target), state.pieces):
                share = float(counted[part].sum() / counted.sum())
                loss += share * backward(part, share)
        except Exception as e:
            if not is_out_of_memory(e) or 2 * state.pieces > len(target):
                raise
            state.pieces *= 2
            torch.cuda.empty_cache()
        else:
            return loss
