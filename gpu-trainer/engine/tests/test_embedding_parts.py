"""What an embedding is made of: the published network's own part, unchanged and first, and what the tail reads from the trunk's output."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

from ..efficientnet import DIMENSION, OWN_DIMENSION, SPREAD_SHARE, ImageTail, deviations, load_image
from ..minilm import LOWER_SHARE, WIDTH, load_text
from ..step import features
from .conftest import BACKBONES

IMAGE, TEXT = BACKBONES / "efficientnet-lite0", BACKBONES / "all-minilm-l6-v2"
prepared = pytest.mark.skipif(not (IMAGE / "manifest.json").exists(), reason="the backbones are not prepared")


def picture_tail() -> ImageTail:
    torch.manual_seed(1)
    tail = ImageTail().eval()
    tail.usual.copy_(torch.rand(192) + 0.5)
    return tail


def test_a_picture_is_its_own_embedding_and_then_how_unevenly_each_channel_lies() -> None:
    tail = picture_tail()
    x = torch.randn(3, 192, 7, 7) * torch.rand(192)[None, :, None, None] * 3
    with torch.no_grad():
        made = tail(x)
        own = F.relu6(tail._bn1(tail._conv_head(tail._blocks["15"](x)))).mean(dim=(2, 3))
    assert made.shape == (3, DIMENSION) and (made >= 0).all()
    torch.testing.assert_close(made[:, :OWN_DIMENSION], own)
    expected = np.maximum(x.numpy().std(axis=(2, 3)) / tail.usual.numpy() - 0.5, 0)
    spread = made[:, OWN_DIMENSION:].numpy()
    np.testing.assert_allclose(spread / spread.sum(axis=1, keepdims=True), expected / expected.sum(axis=1, keepdims=True), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(spread.sum(axis=1), SPREAD_SHARE * own.sum(dim=1).numpy(), rtol=1e-4)


def test_a_picture_without_anything_uneven_has_no_second_part() -> None:
    with torch.no_grad():
        made = picture_tail()(torch.ones(1, 192, 7, 7))
    assert torch.isfinite(made).all() and (made[:, OWN_DIMENSION:] == 0).all()


@prepared
def test_the_usual_deviations_are_those_of_the_background() -> None:
    weights = load_file(IMAGE / "weights.safetensors")
    maps = load_file(IMAGE / "background-inputs.safetensors")["features"]
    torch.testing.assert_close(weights["usual"], deviations(maps).mean(dim=0))
    assert torch.equal(load_image(weights)[1].usual, weights["usual"])


@prepared
def test_a_text_is_its_own_embedding_and_then_the_mean_of_the_trunk_whatever_it_is_padded_with() -> None:
    _, tail = load_text(load_file(TEXT / "weights.safetensors"))
    torch.manual_seed(2)
    hidden = torch.randn(2, 6, WIDTH)
    lengths = torch.tensor([6, 4])
    with torch.no_grad():
        padded, short = tail(hidden, lengths), tail(hidden[1:, :4])
        deep: torch.Tensor = hidden[1:, :4]
        for layer in tail.layers.values():
            deep = layer(deep)
    torch.testing.assert_close(padded[1:], short, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(short[0, :WIDTH], deep[0].mean(dim=0))
    lower = hidden[1, :4].mean(dim=0)
    torch.testing.assert_close(short[0, WIDTH:], lower * (LOWER_SHARE * short[0, :WIDTH].norm() / lower.norm()))


def test_a_loss_sees_the_own_part_alone() -> None:
    made = torch.rand(4, DIMENSION)
    seen = features(made, sqrt=True)
    assert seen.shape == (4, OWN_DIMENSION)
    torch.testing.assert_close(seen, features(torch.cat([made[:, :OWN_DIMENSION], nn.functional.relu(torch.randn(4, 192))], dim=1), sqrt=True))
