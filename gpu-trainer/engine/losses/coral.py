"""Deep CORAL (Sun & Saenko 2016): the second moments of two domains are made equal."""

from torch import Tensor


def covariance(x: Tensor) -> Tensor:
    """Unbiased covariance [d, d] of rows [n, d]."""
    centred = x - x.mean(dim=0, keepdim=True)
    return centred.T @ centred / max(len(x) - 1, 1)


def coral_loss(source: Tensor, target: Tensor) -> Tensor:
    """‖C_S − C_T‖²_F / (4 d²) of features [n, d] and [m, d]: zero exactly when the covariances are equal."""
    d = source.shape[1]
    return (covariance(source) - covariance(target)).square().sum() / (4 * d * d)
