"""SetFit (Tunstall et al. 2022), the package itself, on the same weights, texts and episodes: `peer_setfit.py MODEL_FOLDER GIVEN.json` -> JSON lines.

The published recipe: 20 pairs of each kind a row (R = 20), cosine similarity loss, one epoch, batches of 16, 2e-5, then logistic regression.
GIVEN: `tokens`, `minutes` (or null) and `sets`, each with `texts`, `probe` (texts), `probe_rows` (their embeddings as the edge serves them) and
`episodes`. A line a set compares the two embeddings of the probe before anything is trained, then a line an episode follows.
"""

import copy
import json
import logging
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
import transformers
from datasets import Dataset
from datasets.utils.logging import disable_progress_bar
from sentence_transformers import SentenceTransformer
from setfit import SetFitModel, Trainer, TrainingArguments
from sklearn.linear_model import LogisticRegression

ITERATIONS = 20
BATCH = 16
RATE = 2e-5
# What the package prints to standard output is no result.
OUT = sys.stdout
sys.stdout = sys.stderr

warnings.filterwarnings("ignore")
disable_progress_bar()
logging.disable(logging.WARNING)
transformers.logging.set_verbosity_error()


def say(**line: object) -> None:
    print(json.dumps(line), file=OUT, flush=True)


def accuracy(
    body: SentenceTransformer,
    texts: list[str],
    episode: dict[str, list[int]],
    seed: int,
    folder: str,
) -> tuple[float, int]:
    """Accuracy on the query rows in percent, and the optimiser steps taken."""
    torch.manual_seed(seed)
    model = SetFitModel(
        model_body=copy.deepcopy(body), model_head=LogisticRegression(max_iter=1000)
    )
    support = Dataset.from_dict(
        {"text": [texts[i] for i in episode["support"]], "label": episode["supportY"]}
    )
    args = TrainingArguments(
        output_dir=folder,
        batch_size=BATCH,
        num_epochs=1,
        num_iterations=ITERATIONS,
        body_learning_rate=RATE,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        show_progress_bar=False,
        seed=seed,
    )
    trainer = Trainer(model=model, args=args, train_dataset=support)
    trainer.train()
    said = model.predict([texts[i] for i in episode["query"]], as_numpy=True)
    return 100 * float(np.mean(said == np.array(episode["queryY"]))), int(
        trainer.st_trainer.state.global_step
    )


def compare(body: SentenceTransformer, given: dict) -> None:
    theirs = body.encode(given["probe"], normalize_embeddings=True)
    ours = np.array(given["probe_rows"])
    ours /= np.linalg.norm(ours, axis=1, keepdims=True)
    cosine = (theirs * ours).sum(axis=1)
    say(
        set=given["set"],
        least_cosine=float(cosine.min()),
        mean_cosine=float(cosine.mean()),
    )


def main() -> None:
    given = json.loads(Path(sys.argv[2]).read_text())
    body = SentenceTransformer(sys.argv[1], device="cpu", local_files_only=True)
    body.max_seq_length = given["tokens"]
    for one in given["sets"]:
        compare(body, one)
    end = None if given["minutes"] is None else time.monotonic() + 60 * given["minutes"]
    with tempfile.TemporaryDirectory() as folder:
        for at in range(max(len(one["episodes"]) for one in given["sets"])):
            if at > 0 and end is not None and time.monotonic() > end:
                break
            for one in given["sets"]:
                if at >= len(one["episodes"]):
                    continue
                started = time.perf_counter()
                percent, steps = accuracy(
                    body, one["texts"], one["episodes"][at], at, folder
                )
                say(
                    set=one["set"],
                    accuracy=percent,
                    steps=steps,
                    seconds=time.perf_counter() - started,
                )


if __name__ == "__main__":
    main()
