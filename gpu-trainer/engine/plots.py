"""Plots of a model card as SVG text: no plotting library, no fonts to find, and a diff that can be read."""

import html
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, MARGIN = 560, 360, 56
INK, MUTED, ACCENT, SECOND = "#1b1f24", "#8a9199", "#2456c4", "#c4562b"
CONFUSION_LABELS_MAX = 40


def text(x: float, y: float, value: str, anchor: str = "middle", size: int = 12, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{INK}"{more}>{html.escape(value)}</text>'


def document(title: str, body: Sequence[str], width: int = WIDTH, height: int = HEIGHT) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="system-ui, sans-serif" role="img">'
    parts = [head, f"<title>{html.escape(title)}</title>", f'<rect width="{width}" height="{height}" fill="white"/>']
    return "\n".join([*parts, text(width / 2, 22, title, size=14), *body, "</svg>"]) + "\n"


class Axes:
    """A plain frame from (x0, y0) to (x1, y1) in data units."""

    def __init__(self, x0: float, x1: float, y0: float, y1: float) -> None:
        self.x0, self.y0 = x0, y0
        self.dx, self.dy = (x1 - x0) or 1.0, (y1 - y0) or 1.0

    def at(self, x: float, y: float) -> tuple[float, float]:
        px = MARGIN + (x - self.x0) / self.dx * (WIDTH - 2 * MARGIN)
        py = HEIGHT - MARGIN - (y - self.y0) / self.dy * (HEIGHT - 2 * MARGIN)
        return px, py

    def frame(self, across: str, up: str, *, whole: bool = False) -> list[str]:
        """Axes with five numbers on each; `whole`: across are things that are counted."""
        left, bottom, right, top = MARGIN, HEIGHT - MARGIN, WIDTH - MARGIN, MARGIN
        parts = [f'<path d="M{left} {top}V{bottom}H{right}" fill="none" stroke="{INK}"/>', text((left + right) / 2, HEIGHT - 14, across)]
        parts.append(text(16, (top + bottom) / 2, up, more=f' transform="rotate(-90 16 {(top + bottom) / 2:.0f})"'))
        for part in (0.0, 0.25, 0.5, 0.75, 1.0):
            y = self.y0 + part * self.dy
            parts.append(text(left - 6, self.at(self.x0, y)[1] + 4, f"{y:.2f}", "end", 10))
        across_at = [self.x0 + part * self.dx for part in (0.0, 0.25, 0.5, 0.75, 1.0)]
        told = sorted({round(x) for x in across_at}) if whole else across_at
        return [*parts, *(text(self.at(x, self.y0)[0], bottom + 16, f"{x:g}", size=10) for x in told)]

    def line(self, points: Sequence[tuple[float, float]], colour: str, dashed: bool = False) -> str:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (self.at(*p) for p in points))
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>'


def learning_curve(losses: Sequence[float], aside: Sequence[float] = ()) -> str:
    """Loss at the end of each epoch; `aside`: on training rows set aside for stopping early."""
    title = "Loss by epoch"
    if not losses:
        return document(title, [text(WIDTH / 2, HEIGHT / 2, "Nothing was tuned: the head is a closed form.")])
    top = max([*losses, *aside]) * 1.05
    axes = Axes(1, max(len(losses), 2), 0, top)
    body = axes.frame("epoch", "loss", whole=True)
    lines: list[tuple[Sequence[float], str, str]] = [(losses, ACCENT, "training rows"), (aside, SECOND, "rows set aside")]
    for values, colour, name in lines:
        if values:
            points = [(i + 1, v) for i, v in enumerate(values)]
            body.append(axes.line(points, colour))
            # A line through one point is nothing to be seen.
            body += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in (axes.at(*p) for p in points[:1])]
            body.append(text(WIDTH - MARGIN, MARGIN + (0 if colour == ACCENT else 16), name, "end", 11, f' style="fill:{colour}"'))
    return document(title, body)


def confusion_counts(truth: Sequence[int], prediction: Sequence[int], labels: int) -> NDArray[np.int64]:
    """[truth, prediction]; the last column counts answers that are not one of the labels."""
    counts = np.zeros((labels, labels + 1), dtype=np.int64)
    for t, p in zip(truth, prediction, strict=True):
        counts[t, p if 0 <= p < labels else labels] += 1
    return counts


def confusion(counts: NDArray[np.int64], labels: Sequence[str]) -> str:
    """Rows are true labels, shares of a row as shade, counts as text; the largest classes when there are many."""
    order = np.argsort(-counts.sum(axis=1), kind="stable")[:CONFUSION_LABELS_MAX]
    shown = counts[np.ix_(order, order)]
    rows = np.maximum(counts[order].sum(axis=1), 1)
    side = max(12, min(44, 520 // max(len(order), 1)))
    left, top = 150, 120
    body: list[str] = []
    for r, k in enumerate(int(i) for i in order):
        name = labels[k] if len(labels[k]) <= 20 else f"{labels[k][:19]}…"
        y = top + r * side
        body.append(text(left - 6, y + side / 2 + 4, name, "end", 10))
        x = left + r * side + side / 2
        body.append(text(x, top - 6, name, "start", 10, f' transform="rotate(-45 {x:.0f} {top - 6})"'))
        for c in range(len(order)):
            n = int(shown[r, c])
            share = n / int(rows[r])
            fill = ACCENT if r == c else SECOND
            body.append(
                f'<rect x="{left + c * side}" y="{y}" width="{side}" height="{side}" fill="{fill}" fill-opacity="{share:.3f}" stroke="#e3e6e8"/>'
            )
            if n and side >= 18:
                body.append(text(left + c * side + side / 2, y + side / 2 + 4, str(n), size=10))
    width, height = left + len(order) * side + 90, top + len(order) * side + 24
    return document("Confusion on held-out rows (rows: true label)", body, max(width, 420), height)


def reliability_bins(confidence: Sequence[float], right: Sequence[bool], bins: int = 10) -> list[dict[str, float]]:
    """Equal-width bins (Guo et al. 2017): mean confidence, accuracy and rows of each that is not empty."""
    c, r = np.asarray(confidence, dtype=np.float64), np.asarray(right, dtype=np.float64)
    which = np.minimum((c * bins).astype(np.int64), bins - 1)
    return [
        {"confidence": float(c[which == b].mean()), "accuracy": float(r[which == b].mean()), "rows": int((which == b).sum())}
        for b in range(bins)
        if (which == b).any()
    ]


def expected_calibration_error(bins: Sequence[dict[str, float]]) -> float:
    total = sum(b["rows"] for b in bins)
    return sum(b["rows"] * abs(b["confidence"] - b["accuracy"]) for b in bins) / total if total else 0.0


def reliability(bins: Sequence[dict[str, float]], counted: str = "rows") -> str:
    """`counted`: what the number beside each point is of."""
    axes = Axes(0, 1, 0, 1)
    body = [*axes.frame("confidence", "accuracy"), axes.line([(0, 0), (1, 1)], MUTED, dashed=True)]
    most = max((b["rows"] for b in bins), default=1)
    for b in bins:
        x, y = axes.at(b["confidence"], b["accuracy"])
        body.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{4 + 8 * (b["rows"] / most) ** 0.5:.1f}" fill="{ACCENT}" fill-opacity="0.75"/>')
        body.append(text(x, y - 14, str(int(b["rows"])), size=9))
    title = f"Reliability (expected calibration error {expected_calibration_error(bins):.3f}; numbers are {counted})"
    return document(title, body)


def class_table(rows: Sequence[tuple[str, int, float, float]]) -> str:
    """`(label, held-out rows, recall of the candidate, recall of the frozen head)`, the worst first."""
    height = 70 + 22 * max(len(rows), 1)
    body = [text(200, 50, "label", "end", 11), text(240, 50, "rows", size=11), text(400, 50, "recall: candidate, frozen head", size=11)]
    for i, (name, n, mine, frozen) in enumerate(rows):
        y = 70 + 22 * i
        body.append(text(200, y, name if len(name) <= 28 else f"{name[:27]}…", "end", 11))
        body.append(text(240, y, str(n), size=11))
        body.append(f'<rect x="270" y="{y - 11}" width="{220 * mine:.1f}" height="7" fill="{ACCENT}"/>')
        body.append(f'<rect x="270" y="{y - 3}" width="{220 * frozen:.1f}" height="5" fill="{MUTED}"/>')
        body.append(text(WIDTH - 8, y, f"{mine:.0%}, {frozen:.0%}", "end", 10))
    return document("Recall by class", body, WIDTH, height)
