"""The card of a trained model: Markdown with four SVG plots, made from what was measured and nothing else (Mitchell et al. 2019, Model Cards)."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import plots
from .card_figures import Z_95, figures_of

PLOTS = {"reliability.svg": "Reliability", "confusion.svg": "Confusion", "classes.svg": "Recall by class", "learning-curve.svg": "Loss by epoch"}


def cell(value: str) -> str:
    """A label is a stranger's text: no new cells, lines or markup in the table."""
    return value.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(cell(c) for c in row) + " |" for row in rows])


def parity_words(parity: dict[str, Any]) -> str:
    kept = (
        f"In {parity['precision']} the same best label on {parity['same_top1']} of {parity['rows']} held-out rows, "
        f"logits at most {parity['max_abs_logit_difference']:.2g} apart."
    )
    tried = (
        f" Not kept: {r['precision']}, the same on {r['same_top1']}, up to {r['max_abs_logit_difference']:.2g} apart." for r in parity["rejected"]
    )
    return kept + "".join(tried)


def choice_parts(choice: dict[str, Any] | None) -> list[str]:
    """Why `auto` took its way: the sentence, and every way that it weighed."""
    if choice is None:
        return []
    rows = [
        [
            " ".join([o["method"], *(str(v) for k, v in o["options"].items() if k in ("depth", "alignment"))]),
            f"{o['expected_accuracy']:.1%}",
            f"{o['interval']['low']:.1%} – {o['interval']['high']:.1%}",
            "a trial on these rows" if o.get("basis") == "measured" else "earlier measurements",
            f"{o['seconds']:.0f} s",
        ]
        for o in choice["options"]
    ]
    whence = f" (advice job {choice['advice_job']})" if choice.get("advice_job") else ""
    words = f"`auto` took {choice['chose']}{whence}. {cell(choice['because'])}"
    return ["## Why this method", words, *([table(["", "expected", "95 % interval", "rests on", "cost"], rows)] if rows else [])]


def write_card(out: Path, about: dict[str, Any], result: dict[str, Any], held: dict[str, Any]) -> list[Path]:
    """Writes `model-card.md` and its plots into `out`, each by rename, and returns their paths.

    `about`: job, backbone, modality, license, seed, dataset (rows of each split …), parents; `result` and `held` as sent to the host.
    """
    labels: list[str] = held["labels"]
    truth = held["truth"]
    shown = figures_of(held)
    aside = result.get("evidence", {}).get("losses_on_rows_set_aside", [])
    pictures = {"learning-curve.svg": plots.learning_curve(result.get("losses", []), aside), **shown.pictures}
    facts = [[k, str(v)] for k, v in about.items() if v is not None]
    settings = [[k, str(v)] for k, v in sorted(result["hyperparameters"].items())]
    notes = [f"- {n}" for n in result["notes"]] or ["- none"]
    tasks = result.get("tasks") or []
    task_rows = [
        [t["name"], f"{t['accuracy']:.1%}", f"{t['single_task_accuracy']:.1%}", f"{t['interval']['low']:+.3f} … {t['interval']['high']:+.3f}"]
        for t in tasks
    ]
    parts = [
        f"# {about['job']}",
        f"Method: {result['method']['used']} (asked: {result['method']['asked']}); {result['train_rows']} training rows, {len(labels)} labels; "
        f"weight of the tuned part {result['tuned_mix']:.1f}.",
        f"## Measured on {len(truth)} held-out rows ({held['split']})",
        table(*shown.contenders),
        f"All on the same rows; none of them was trained on. Intervals are Wilson's.{shown.said}",
        "\n".join(f"![{words}]({name})" for name, words in PLOTS.items() if name in pictures),
        "## Classes, the worst first",
        table(*shown.classes),
        *(["## Tasks", table(["task", "together", "alone", "difference"], task_rows)] if tasks else []),
        *(["## Its graphs beside torch", parity_words(result["parity"])] if result.get("parity") else []),
        *choice_parts(result.get("evidence", {}).get("auto")),
        "## Where it comes from",
        table(["", ""], facts),
        "## Settings",
        table(["", ""], settings),
        "## Notes",
        "\n".join(notes),
        "## Limits",
        f"Inputs unlike the training rows are answered `unknown` by the classifier's threshold, not by it. With {len(truth)} held-out rows, "
        f"differences below {100 * Z_95 * np.sqrt(0.25 / max(len(truth), 1)):.0f} points are not seen.",
    ]
    written = []
    for name, content in [*pictures.items(), ("model-card.md", "\n\n".join(parts) + "\n")]:
        staged = out / f"{name}.part"
        staged.write_text(content, encoding="utf-8")
        os.replace(staged, out / name)
        written.append(out / name)
    return written
