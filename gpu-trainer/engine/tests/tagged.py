"""Made-up texts of any number of topics, in the frozen form: what multi-label jobs are tested with."""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import BertWordPieceTokenizer

from .conftest import BACKBONES

SENTENCES = {
    "food": ["The soup needs more salt.", "Bake the bread for an hour.", "We ate rice and fish.", "Her cake was very sweet.", "The pasta is cooked."],
    "money": ["The bank raised its interest.", "Pay the invoice by Friday.", "My salary went up.", "The loan was refused.", "Taxes are due in May."],
    "weather": ["It rained all morning.", "Snow fell on the hills.", "A warm wind blew.", "The sky was clear.", "Fog covered the valley."],
}
PLAIN = ["He opened the book again.", "They met at the station.", "The door was painted blue.", "She called her brother.", "Nobody answered."]
TOPICS = sorted(SENTENCES)
TOKENS = 32


def texts(rows: int, seed: int = 2) -> tuple[list[str], np.ndarray]:
    """Texts and which topics each has, [rows, topics]; some have none, at most two."""
    random = np.random.default_rng(seed)
    said, present = [], np.zeros((rows, len(TOPICS)), dtype=np.uint8)
    for i in range(rows):
        own = random.permutation(len(TOPICS))[: i % 3]
        present[i, own] = 1
        parts = [random.choice(SENTENCES[TOPICS[c]]) for c in own] + [random.choice(PLAIN)]
        said.append(" ".join(parts[j] for j in random.permutation(len(parts))))
    return said, present


def write(path: Path, rows: int, seed: int = 2, *, enrolled: bool = False, unlabelled: int = 0) -> np.ndarray:
    """`dataset.safetensors` or the examples of a classifier; the first `unlabelled` rows are labelled by nobody. Every third row is a test row."""
    said, present = texts(rows, seed)
    tokenizer = BertWordPieceTokenizer(str(BACKBONES / "all-minilm-l6-v2" / "vocab.txt"))
    tokenizer.enable_truncation(TOKENS)
    ids = [tokenizer.encode(text).ids for text in said]
    padded = np.zeros((rows, TOKENS), dtype=np.int32)
    for i, row in enumerate(ids):
        padded[i, : len(row)] = row
    labels = np.zeros(rows, dtype=np.int32)
    labels[:unlabelled] = -1
    arrays = {"input_ids": padded, "lengths": np.array([len(r) for r in ids], dtype=np.int32), "labels": labels, "present": present}
    split = {} if enrolled else {"split": np.array([2 if i // 3 % 3 == 2 else 0 for i in range(rows)], dtype=np.uint8)}
    save_file({**arrays, **split}, path)
    return present
