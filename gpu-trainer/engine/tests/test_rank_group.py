"""What a group of ranks computes, without a job around it: gradients, and what happens when memory runs out on one of them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from .conftest import ROOT

GRADIENTS = """
import json, os
import torch
from torch import nn
from engine import ranks
from engine.wire import protocol_output

ranks.join("cpu")
torch.manual_seed(0)
network = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 3, 1), nn.BatchNorm2d(3), nn.Flatten()).double()
head = nn.Linear(12, 12).double()
x = torch.randn(7, 2, 4, 4, dtype=torch.float64)
if ranks.count() > 1:
    ranks.share_norms(network)
mine = network.train()(x[ranks.own(7)])
z = head(ranks.whole(mine, 7) if ranks.count() > 1 else mine)
(z @ z.T).logsumexp(dim=1).mean().backward()
ranks.add_gradients(network.parameters(), head.parameters())
values = [p.grad for p in [*network.parameters(), *head.parameters()]] + [b.double() for b in network.buffers()]
os.write(protocol_output(), json.dumps([v.flatten().tolist() for v in values]).encode())
ranks.leave()
"""


def said_by(script: str, size: int, store: Path) -> list[Any]:
    """What each of `size` ranks of a group prints as JSON when it runs the script."""

    def start(rank: int) -> subprocess.Popen[str]:
        ranked = {"RANK": str(rank), "WORLD_SIZE": str(size), "GRAFT_RENDEZVOUS": str(store), "GLOO_SOCKET_IFNAME": "lo"}
        environment = {**os.environ, **(ranked if size > 1 else {})}
        return subprocess.Popen([sys.executable, "-c", script], cwd=ROOT / "gpu-trainer", env=environment, stdout=subprocess.PIPE, text=True)

    def said(child: subprocess.Popen[str]) -> Any:
        out, _ = child.communicate(timeout=300)
        assert child.returncode == 0
        return json.loads(out)

    return [said(c) for c in [start(rank) for rank in range(size)]]


def test_gradients_are_those_of_one_process(tmp_path: Path) -> None:
    """In float64, so that only mathematics counts: a loss over all pairs of the batch, batch norms in training, 3 ranks with 3, 2 and 2 rows."""
    (whole,) = said_by(GRADIENTS, 1, tmp_path / "none")
    for values in said_by(GRADIENTS, 3, tmp_path / "store"):
        for ours, theirs in zip(values, whole, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-12)


NARROW = """
import json, os
import torch
from engine import ranks
from engine.wire import protocol_output
from engine.tests.small import begin, cached, go

ranks.join("cpu")
state, recipe = begin("fine_tune", "text", {"epochs": 1, "batch_size": 24})
forward = state.network.forward

def narrow(x, *rest):
    if ranks.index() == 1 and len(x) > 6:
        raise torch.OutOfMemoryError
    return forward(x, *rest)

state.network.forward = narrow
go(state, recipe, *cached(False))
os.write(protocol_output(), json.dumps([state.pieces, state.losses]).encode())
ranks.leave()
"""


def test_memory_that_runs_out_on_one_rank_halves_the_batch_on_all(tmp_path: Path) -> None:
    """24 rows are 12 a rank, which the second one has no room for; in two pieces it has 6."""
    ((pieces, alone),) = said_by(NARROW, 1, tmp_path / "none")
    assert pieces == 1
    for pieces, losses in said_by(NARROW, 2, tmp_path / "store"):
        assert pieces == 2
        np.testing.assert_allclose(losses, alone, rtol=1e-5)
