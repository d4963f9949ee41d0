"""The processes of one job. Every rank runs the same program over the same batches; each sends its own rows through the network, the embeddings are
gathered, and every rank computes the loss of the whole batch. So any loss over a batch (contrastive pairs, moments of two domains) is exactly that of
one process, unlike with averaged losses of parts (Li et al. 2020, PyTorch Distributed; gathering as in Radford et al. 2021).

Without a process group every function here is that of a single process.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from .failures import is_out_of_memory
from .heads import Ints

T = TypeVar("T")
# A rank may wait for long while the first one exports; a rank that died is noticed by the launcher, not by a timeout.
PATIENCE = timedelta(days=7)


def join(device: str) -> None:
    """Joins the group that launch.py names in the environment, if any: gloo, and nccl for what lies on GPUs."""
    if "GRAFT_RENDEZVOUS" not in os.environ:
        return
    gpu = device != "cpu" and torch.cuda.is_available()
    if gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    meeting = f"file://{os.environ['GRAFT_RENDEZVOUS']}"
    backend = "cpu:gloo,cuda:nccl" if gpu else "gloo"
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    dist.init_process_group(backend, init_method=meeting, rank=rank, world_size=size, timeout=PATIENCE)


def leave() -> None:
    """From here on this process is alone."""
    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()


def count() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def index() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def device(wanted: str) -> torch.device:
    """`cpu`, or this rank's GPU where there is one."""
    if wanted == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", index()) if count() > 1 else torch.device("cuda")


def own(size: int) -> Ints:
    """The places of a batch of `size` that are this rank's; none where there are fewer than ranks."""
    return np.array_split(np.arange(size), count())[index()]


def any_rank(flag: bool) -> bool:
    """True on every rank when it is on one."""
    if count() == 1:
        return flag
    said = torch.tensor([int(flag)])
    dist.all_reduce(said, op=dist.ReduceOp.MAX)
    return bool(said.item())


def from_first(make: Callable[[], T]) -> T:
    """What the first rank makes, on every rank: decisions that must not differ, and files that are written once."""
    if count() == 1:
        return make()
    box: list[Any] = [make() if index() == 0 else None]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def gathered(mine: T) -> list[T]:
    """What each rank has, on every rank, in their order."""
    if count() == 1:
        return [mine]
    boxes: list[Any] = [None] * count()
    dist.all_gather_object(boxes, mine)
    return boxes


@contextmanager
def memory_shared() -> Iterator[None]:
    """Memory that runs out on one rank has run out on all: they cut the batch alike."""
    short: Exception | None = None
    try:
        yield
    except Exception as e:
        if not is_out_of_memory(e):
            raise
        short = e
    if any_rank(short is not None):
        raise short or torch.OutOfMemoryError("memory ran out on another rank")


def whole(mine: Tensor, size: int) -> Tensor:
    """Rows [size, d] of all ranks from this one's part. The gradient goes back through the own rows alone; summed over ranks it is the batch's."""
    sizes = [len(part) for part in np.array_split(np.arange(size), count())]
    padded = mine.new_zeros(max(sizes), *mine.shape[1:])
    padded[: len(mine)] = mine.detach()
    parts = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(parts, padded)
    rows = [part[:n] for part, n in zip(parts, sizes, strict=True)]
    rows[index()] = mine
    return torch.cat(rows)


def add_gradients(network: Iterable[nn.Parameter], beside: Iterable[nn.Parameter]) -> None:
    """`network`: each rank has the gradient of its rows, they add up. `beside`: each has that of the batch; their mean keeps rounding alike."""
    if count() == 1:
        return
    for parameters, share in ((network, 1.0), (beside, 1 / count())):
        gradients = [p.grad for p in parameters if p.grad is not None]
        if not gradients:
            continue
        flat = torch.cat([g.flatten() for g in gradients])
        dist.all_reduce(flat)
        for g, total in zip(gradients, (flat * share).split([g.numel() for g in gradients]), strict=True):
            g.copy_(total.view_as(g))


class Total(torch.autograd.Function):
    """Sum over ranks; so is the gradient, as what follows on every rank depends on it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # type: ignore[override]
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total


class SharedNorm(nn.BatchNorm2d):
    """Batch normalisation (Ioffe & Szegedy 2015) over the rows of all ranks while training. (torch's SyncBatchNorm knows no CPU.)"""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or count() == 1:
            return super().forward(x)

        def over_rows(value: Tensor) -> Tensor:
            total: Tensor = Total.apply(value.sum(dim=(0, 2, 3)))  # type: ignore[no-untyped-call, assignment]
            return total / rows

        rows = Total.apply(x.new_tensor(float(x.numel() // x.shape[1])))  # type: ignore[no-untyped-call]
        mean = over_rows(x)
        centred = x - mean[None, :, None, None]
        variance = over_rows(centred.square())
        with torch.no_grad():
            assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
            assert self.num_batches_tracked is not None
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * rows / (rows - 1), self.momentum)
            self.num_batches_tracked.add_(1)
        scale = self.weight * (variance + self.eps).rsqrt()
        return centred * scale[None, :, None, None] + self.bias[None, :, None, None]


def share_norms(network: nn.Module) -> None:
    """Batch norms of `network` see the rows of all ranks from now on."""
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SharedNorm
