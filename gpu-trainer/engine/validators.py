"""What can be said of an adapted model without a label of the target (reviewed by Musgrave et al. 2022): evidence, never a verdict."""

import numpy as np

from .heads import Matrix, unit

EPSILON = 1e-12
# Rows that are compared with one another: 20,000 would take 3 GB a matrix, at the end of a training.
NEIGHBOURS_MAX = 2_048


def information_maximisation(probability: Matrix) -> float:
    """Entropy of the mean prediction minus mean entropy of the predictions, in nats: sure of each row, and of different labels (Shi & Sha 2012)."""
    mean = probability.mean(axis=0)
    whole = -float((mean * np.log(mean + EPSILON)).sum())
    each = -float((probability * np.log(probability + EPSILON)).sum(axis=1).mean())
    return whole - each


def soft_neighbourhood_density(probability: Matrix, temperature: float = 0.05) -> float:
    """Mean entropy of the softmax over each row's similarities to the others (Saito et al. 2021, SND): high when neighbourhoods are dense. Of more
    than NEIGHBOURS_MAX rows as many, evenly spread: of two models on the same rows the same ones."""
    if len(probability) < 3:
        return 0.0
    if len(probability) > NEIGHBOURS_MAX:
        probability = probability[np.linspace(0, len(probability) - 1, NEIGHBOURS_MAX).round().astype(np.int64)]
    z = unit(probability)
    similarity = z @ z.T / temperature
    np.fill_diagonal(similarity, -np.inf)
    similarity -= similarity.max(axis=1, keepdims=True)
    p = np.exp(similarity)
    p /= p.sum(axis=1, keepdims=True)
    return -float((p * np.log(p + EPSILON)).sum(axis=1).mean())
