"""all-MiniLM-L6-v2 (Reimers & Gurevych 2019; Wang et al. 2020): a six-layer BERT encoder with mean pooling, split into trunk (embeddings and
layers 0-3) and tail (layers 4-5 and pooling). The embedding is that of the published network, and behind it the mean of the trunk's output: lower
layers know how a text is written, the last ones what it is about (Jawahar et al. 2019; docs/decisions/0017). It is not normalised here; heads do.
"""

import math

from torch import Tensor, arange, cat, nn
from torch.nn import functional as F

LAYERS = 6
TAIL_FROM = 4
WIDTH = 384
DIMENSION = 2 * WIDTH
# Length of the lower part, of that of the own one: over the background both differ about alike from text to text.
LOWER_SHARE = 0.85
HEADS = 12
INTERMEDIATE = 1536
VOCABULARY = 30522
POSITIONS = 512
LAYER_NORM_EPS = 1e-12


class Layer(nn.Module):
    """One post-norm transformer layer. `mask` is additive, [b, 1, 1, n], or None when no row is padded."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(WIDTH, WIDTH)
        self.key = nn.Linear(WIDTH, WIDTH)
        self.value = nn.Linear(WIDTH, WIDTH)
        self.attended = nn.Linear(WIDTH, WIDTH)
        self.norm1 = nn.LayerNorm(WIDTH, eps=LAYER_NORM_EPS)
        self.up = nn.Linear(WIDTH, INTERMEDIATE)
        self.down = nn.Linear(INTERMEDIATE, WIDTH)
        self.norm2 = nn.LayerNorm(WIDTH, eps=LAYER_NORM_EPS)

    def split(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], -1, HEADS, WIDTH // HEADS).transpose(1, 2)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        scores = self.split(self.query(x)) @ self.split(self.key(x)).transpose(2, 3) / math.sqrt(WIDTH // HEADS)
        if mask is not None:
            scores = scores + mask
        mixed = (scores.softmax(dim=-1) @ self.split(self.value(x))).transpose(1, 2).reshape(x.shape[0], -1, WIDTH)
        x = self.norm1(x + self.attended(mixed))
        return self.norm2(x + self.down(F.gelu(self.up(x))))


class TextTrunk(nn.Module):
    """int64 [b, n] -> [b, n, 384]."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, WIDTH)
        self.positions = nn.Embedding(POSITIONS, WIDTH)
        self.types = nn.Embedding(2, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=LAYER_NORM_EPS)
        self.layers = nn.ModuleList(Layer() for _ in range(TAIL_FROM))

    def forward(self, input_ids: Tensor, mask: Tensor | None = None) -> Tensor:
        places = arange(input_ids.shape[1], device=input_ids.device)
        x = self.norm(self.words(input_ids) + self.types.weight[0] + self.positions(places))
        for layer in self.layers:
            x = layer(x, mask)
        return x


class TextTail(nn.Module):
    """[b, n, 384] -> [b, 384 + 384]: the last layers, then the mean over real tokens (`lengths` None: all of them), and the mean of what came in, at
    `LOWER_SHARE` of its length."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({str(i): Layer() for i in range(TAIL_FROM, LAYERS)})

    def forward(self, hidden: Tensor, lengths: Tensor | None = None) -> Tensor:
        mask = None
        keep = None
        if lengths is not None:
            keep = (arange(hidden.shape[1], device=hidden.device)[None, :] < lengths[:, None]).to(hidden.dtype)
            mask = (1.0 - keep)[:, None, None, :] * -1e9
        lower = pooled(hidden, keep)
        for layer in self.layers.values():
            hidden = layer(hidden, mask)
        own = pooled(hidden, keep)
        share = LOWER_SHARE * own.norm(dim=1, keepdim=True) / lower.norm(dim=1, keepdim=True).clamp_min(1e-6)
        return cat([own, lower * share], dim=1)


def pooled(hidden: Tensor, keep: Tensor | None) -> Tensor:
    """[b, n, d] -> [b, d], the mean over the tokens that `keep` [b, n] marks with 1."""
    if keep is None:
        return hidden.mean(dim=1)
    return (hidden * keep[:, :, None]).sum(dim=1) / keep.sum(dim=1, keepdim=True)


_LAYER_NAMES = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attended": "attention.output.dense",
    "norm1": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "norm2": "output.LayerNorm",
}


def upstream_name(name: str) -> str:
    """Our parameter name -> that of the published weights."""
    if name.startswith("layers."):
        _, number, part, kind = name.split(".")
        return f"encoder.layer.{number}.{_LAYER_NAMES[part]}.{kind}"
    part, kind = name.split(".")
    names = {"words": "word_embeddings", "positions": "position_embeddings", "types": "token_type_embeddings", "norm": "LayerNorm"}
    return f"embeddings.{names[part]}.{kind}"


def load_text(weights: dict[str, Tensor]) -> tuple[TextTrunk, TextTail]:
    """Both halves with the published weights, in evaluation mode. Raises KeyError or RuntimeError when they do not fit."""
    trunk, tail = TextTrunk(), TextTail()
    for half in (trunk, tail):
        half.load_state_dict({name: weights[upstream_name(name)] for name in half.state_dict()})
    return trunk.eval(), tail.eval()
