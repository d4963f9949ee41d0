"""EfficientNet-Lite0 (Tan & Le 2019; Lite: no squeeze-and-excite, ReLU6), split where Graft splits it: trunk (blocks 0-14) and tail.

The embedding is that of the published network, and behind it how unevenly the trunk's channels are spread over the picture (`ImageTail`).

Parameter names are those of the published weights (lukemelas style). TensorFlow SAME padding, which is asymmetric at stride 2: with symmetric
padding the weights load without an error and are wrong. Input RGB 224, (x - 127) / 128, NCHW float32.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# kernel, stride, expand ratio, in, out for each of the 16 blocks.
BLOCKS: tuple[tuple[int, int, int, int, int], ...] = (
    (3, 1, 1, 32, 16),
    (3, 2, 6, 16, 24),
    (3, 1, 6, 24, 24),
    (5, 2, 6, 24, 40),
    (5, 1, 6, 40, 40),
    (3, 2, 6, 40, 80),
    (3, 1, 6, 80, 80),
    (3, 1, 6, 80, 80),
    (5, 1, 6, 80, 112),
    (5, 1, 6, 112, 112),
    (5, 1, 6, 112, 112),
    (5, 2, 6, 112, 192),
    (5, 1, 6, 192, 192),
    (5, 1, 6, 192, 192),
    (5, 1, 6, 192, 192),
    (3, 1, 6, 192, 320),
)
TAIL_FROM = 15
OWN_DIMENSION = 1280
MAP_CHANNELS = 192
DIMENSION = OWN_DIMENSION + MAP_CHANNELS
# Deviations below this part of the usual one say nothing.
SPREAD_FLOOR = 0.5
# Of the sum of the network's own values: as loud as 0.7 of them is, over the background, under the square root that heads take.
SPREAD_SHARE = 3.0
BATCH_NORM_EPS = 1e-3
BATCH_NORM_MOMENTUM = 0.01


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding for a square kernel."""

    def forward(self, input: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        pads: list[int] = []
        for size in (input.shape[-1], input.shape[-2]):
            total = max((-(-int(size) // stride) - 1) * stride + kernel - int(size), 0)
            pads += [total // 2, total - total // 2]
        if any(pads):
            input = F.pad(input, pads)
        return F.conv2d(input, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=BATCH_NORM_EPS, momentum=BATCH_NORM_MOMENTUM)


class Block(nn.Module):
    """Inverted residual (MBConv without squeeze-and-excite)."""

    def __init__(self, kernel: int, stride: int, expand: int, inputs: int, outputs: int) -> None:
        super().__init__()
        middle = inputs * expand
        self.expands = expand != 1
        self.residual = stride == 1 and inputs == outputs
        if self.expands:
            self._expand_conv = SameConv(inputs, middle, 1, bias=False)
            self._bn0 = batch_norm(middle)
        self._depthwise_conv = SameConv(middle, middle, kernel, stride=stride, groups=middle, bias=False)
        self._bn1 = batch_norm(middle)
        self._project_conv = SameConv(middle, outputs, 1, bias=False)
        self._bn2 = batch_norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.residual else y


class ImageTrunk(nn.Module):
    """[b, 3, 224, 224] -> [b, 192, 7, 7]."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = SameConv(3, 32, 3, stride=2, bias=False)
        self._bn0 = batch_norm(32)
        self._blocks = nn.ModuleList(Block(*b) for b in BLOCKS[:TAIL_FROM])

    def forward(self, pixels: Tensor) -> Tensor:
        x = F.relu6(self._bn0(self._conv_stem(pixels)))
        for block in self._blocks:
            x = block(x)
        return x


class ImageTail(nn.Module):
    """[b, 192, 7, 7] -> [b, 1280 + 192], non-negative: the network's own embedding (ReLU6 then mean), and the spread of the trunk's map.

    Of each channel c of the map, max(0, deviation over the places / usual_c - 0.5): how uneven it is, which is texture and layout, and what the last
    mean forgets. `usual`: the mean deviations over the background. Second moments of a layer beside means: Gatys et al. 2015; pooled lower layers
    beside the last one: Hariharan et al. 2015 (docs/decisions/0017)."""

    usual: Tensor

    def __init__(self) -> None:
        super().__init__()
        self._blocks = nn.ModuleDict({str(i): Block(*BLOCKS[i]) for i in range(TAIL_FROM, len(BLOCKS))})
        self._conv_head = SameConv(320, OWN_DIMENSION, 1, bias=False)
        self._bn1 = batch_norm(OWN_DIMENSION)
        self.register_buffer("usual", torch.ones(MAP_CHANNELS))

    def forward(self, features: Tensor) -> Tensor:
        x = features
        for block in self._blocks.values():
            x = block(x)
        own = F.relu6(self._bn1(self._conv_head(x))).mean(dim=(2, 3))
        spread = F.relu(deviations(features) / self.usual - SPREAD_FLOOR)
        share = SPREAD_SHARE * own.sum(dim=1, keepdim=True) / spread.sum(dim=1, keepdim=True).clamp_min(1e-6)
        return torch.cat([own, spread * share], dim=1)


def deviations(features: Tensor) -> Tensor:
    """[b, c, h, w] -> [b, c], standard deviations over the places."""
    around = features - features.mean(dim=(2, 3), keepdim=True)
    return (around.square().mean(dim=(2, 3)) + 1e-12).sqrt()


def load_image(weights: dict[str, Tensor]) -> tuple[ImageTrunk, ImageTail]:
    """Both halves with the published weights, in evaluation mode. Raises when a name or shape does not fit."""
    trunk, tail = ImageTrunk(), ImageTail()
    wanted = {k: v for k, v in weights.items() if not k.startswith("_fc.")}
    tail_names = set(tail.state_dict())
    for half, part in (
        (trunk, {k: v for k, v in wanted.items() if k not in tail_names}),
        (tail, {k: v for k, v in wanted.items() if k in tail_names}),
    ):
        missing, unexpected = half.load_state_dict(part, strict=False)
        # Published weights know nothing of a background.
        left = [m for m in missing if not m.endswith("num_batches_tracked") and m != "usual"]
        if left or unexpected:
            raise ValueError(f"the weights do not fit EfficientNet-Lite0: missing {left[:3]}, unexpected {unexpected[:3]}")
    return trunk.eval(), tail.eval()


def normalise(pixels: Tensor) -> Tensor:
    """uint8 [b, 224, 224, 3] -> float32 [b, 3, 224, 224], (x - 127) / 128."""
    return ((pixels.to(torch.float32) - 127.0) / 128.0).permute(0, 3, 1, 2).contiguous()
