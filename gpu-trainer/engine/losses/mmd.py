"""Multi-kernel maximum mean discrepancy (Gretton et al. 2012; as a loss: Long et al. 2015, DAN)."""

import torch
from torch import Tensor

# Bandwidths around the mean squared distance; the sum of kernels is again a characteristic kernel.
WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)


def mmd_loss(source: Tensor, target: Tensor) -> Tensor:
    """Biased MMD² with k = Σ_w exp(−‖a − b‖² / (w σ²)) / |W|, σ² the mean squared distance of the batch: ≥ 0, and 0 for equal samples.

    σ² carries no gradient, otherwise the loss could be made small by stretching all distances alike.
    """
    n, m = len(source), len(target)
    both = torch.cat([source, target])
    squared = squared_distances(both)
    sigma = (squared.detach().sum() / max((n + m) * (n + m - 1), 1)).clamp_min(1e-12)
    kernel = sum(((-squared / (w * sigma)).exp() for w in WIDTHS), torch.zeros_like(squared)) / len(WIDTHS)
    return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean()


def squared_distances(x: Tensor) -> Tensor:
    """‖x_i − x_j‖² by the product form: no [n, n, d] in memory."""
    norms = x.square().sum(dim=1)
    return (norms[:, None] + norms[None, :] - 2 * x @ x.T).clamp_min(0)
