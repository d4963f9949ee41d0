"""Domain-adversarial training (Ganin et al. 2016, DANN): a critic learns to tell the domains apart, and the features learn to confuse it."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HIDDEN = 128


class ReverseGradient(torch.autograd.Function):
    """The identity; its gradient is that of −strength · x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, strength: float) -> Tensor:  # type: ignore[override]
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return -ctx.strength * gradient, None


def reverse_gradient(x: Tensor, strength: float) -> Tensor:
    reversed_: Tensor = ReverseGradient.apply(x, strength)  # type: ignore[no-untyped-call, assignment]
    return reversed_


def strength_at(place: float, full: float = 1.0, gamma: float = 10.0) -> float:
    """full · (2 / (1 + exp(−γ p)) − 1) for p in 0…1 of the training: the critic learns before anything listens to it."""
    return full * (2.0 / (1.0 + math.exp(-gamma * place)) - 1.0)


class Critic(nn.Module):
    """Features [n, d] → logit of "from the target" [n]; one hidden layer, drawn from `generator` so that a run can be repeated."""

    def __init__(self, dimension: int, generator: torch.Generator) -> None:
        super().__init__()
        self.hidden = nn.Linear(dimension, HIDDEN)
        self.out = nn.Linear(HIDDEN, 1)
        with torch.no_grad():
            for layer in (self.hidden, self.out):
                layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) / math.sqrt(layer.in_features))
                layer.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        return self.out(F.relu(self.hidden(x)))[:, 0]


def dann_loss(critic: Critic, source: Tensor, target: Tensor, strength: float) -> Tensor:
    """Binary cross-entropy of the critic, both domains weighing the same; the features receive its reversed gradient."""
    said_source = critic(reverse_gradient(source, strength))
    said_target = critic(reverse_gradient(target, strength))
    zero, one = torch.zeros_like(said_source), torch.ones_like(said_target)
    return (F.binary_cross_entropy_with_logits(said_source, zero) + F.binary_cross_entropy_with_logits(said_target, one)) / 2
