"""Texts that the tokeniser could hardly read, in another language than the rest, or too short to mean anything: judged on token ids alone."""

import unicodedata
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from .function_words import FUNCTION_WORDS
from .heads import Ints

SHORT_TOKENS = 2  # besides [CLS] and [SEP]
UNKNOWN_SHARE = 0.25
MOJIBAKE_MIN = 2
WORDS_MIN = 3
# What UTF-8 read as Latin-1 or Windows-1252 leaves behind once accents are stripped: "Ã©" becomes "a ©", "â€™" becomes "a € ™".
MOJIBAKE = frozenset("€™©®¢£¥§¨ª«¬¯±²³´¶¸¹º»¼½¾œžš�ˆ‰")
# Single letters are in formulas and lists of every language.
WORDS = {language: frozenset(w for w in words.split() if len(w) > 1) for language, words in FUNCTION_WORDS.items()}
# Two function words alone, if they are so much of a short text.
FEW_SHARE = 0.2


class TextReader:
    def __init__(self, vocabulary: Path) -> None:
        self.tokens = vocabulary.read_text(encoding="utf-8").splitlines()
        self.unknown = self.tokens.index("[UNK]")

    def scripts(self, ids: Ints) -> Counter[str]:
        """Letters by script, word pieces included."""
        found: Counter[str] = Counter()
        for token in (self.tokens[i] for i in ids.tolist()):
            if not (token.startswith("[") and token.endswith("]")):
                for letter in token.removeprefix("##"):
                    if letter.isalpha():
                        found[script_of(letter)] += 1
        return found

    def words(self, ids: Ints) -> frozenset[str]:
        """The whole words, each once: a word of another language is seldom one piece."""
        found: list[str] = []
        for token in (self.tokens[i] for i in ids.tolist()):
            if token.startswith("##") and found:
                found[-1] += token[2:]
            elif token[0].isalpha():
                found.append(token)
        return frozenset(found)

    def mojibake(self, ids: Ints) -> int:
        """Debris characters directly after a letter, as a misread multi-byte character leaves them."""
        words = [self.tokens[i] for i in ids.tolist()]
        return sum(1 for a, b in pairwise(words) if b.removeprefix("##") in MOJIBAKE and (a[-1:].isalpha() or a in MOJIBAKE))


@cache
def script_of(letter: str) -> str:
    script = unicodedata.name(letter, "UNKNOWN").split(" ")[0].split("-")[0]
    # Japanese is written in all three.
    return "CJK" if script in ("HIRAGANA", "KATAKANA") else script


def text_issues(rows: list[Ints], row: Ints, vocabulary: Path) -> list[dict[str, Any]]:
    """`other_language` is judged against the dataset's own main script and language, so a wholly French dataset has none."""
    reader = TextReader(vocabulary)
    inner = [r[1:-1] for r in rows]
    scripts = [reader.scripts(r) for r in inner]
    words = [reader.words(r) for r in inner]
    main_script = most(sum(scripts, Counter[str]()))
    main_language = most(Counter(most(c) for c in map(languages, words) if c and max(c.values()) >= WORDS_MIN))
    found: list[dict[str, Any]] = []
    for i, ids in enumerate(inner):
        at = int(row[i])
        telling = sum(any(c.isalnum() for c in reader.tokens[i]) for i in ids.tolist())
        if telling <= SHORT_TOKENS:
            what = f"Only {telling} word pieces" + (f" and {len(ids) - telling} signs." if telling < len(ids) else ".")
            found.append({"code": "short_text", "row": at, "score": 1 - telling / (2 * SHORT_TOKENS), "detail": what})
            continue
        letters = sum(scripts[i].values())
        strange = 1 - scripts[i][main_script] / letters if letters else 0.0
        unknown, debris = float(np.mean(ids == reader.unknown)), reader.mojibake(ids)
        if strange > 0.5:
            detail = f"Mostly {most(scripts[i]).title()} letters, where the dataset has {main_script.title()}."
            found.append({"code": "other_language", "row": at, "score": strange, "detail": detail})
        elif unknown >= UNKNOWN_SHARE:
            detail = f"The backbone knows none of {unknown:.0%} of its words or signs."
            found.append({"code": "encoding", "row": at, "score": unknown, "detail": detail})
        elif debris >= MOJIBAKE_MIN:
            detail = f"{debris} places look like UTF-8 that was read as another encoding."
            found.append({"code": "encoding", "row": at, "score": min(1.0, 0.5 + debris / len(ids)), "detail": detail})
        elif main_language and (other := other_language(words[i], main_language)):
            here, theirs, own = other
            detail = f"It reads like {here} ({theirs} function words), where the dataset is in {main_language}."
            found.append({"code": "other_language", "row": at, "score": theirs / (theirs + own), "detail": detail})
    return found


def languages(words: frozenset[str]) -> Counter[str]:
    """Function words of each language; many are of several."""
    return Counter({language: n for language, known in WORDS.items() if (n := len(words & known))})


def other_language(words: frozenset[str], main: str) -> tuple[str, int, int] | None:
    """The language that more than two thirds of the telling words are of: those that it does not share with the main one. With how many they are on
    either side; None where the text may be in the main language."""
    best: tuple[str, int, int] | None = None
    for language, known in WORDS.items():
        theirs, own = len(words & known - WORDS[main]), len(words & WORDS[main] - known)
        enough = theirs >= WORDS_MIN or (theirs == WORDS_MIN - 1 and own == 0 and theirs >= FEW_SHARE * len(words))
        if enough and theirs > 2 * own and (best is None or theirs - own > best[1] - best[2]):
            best = language, theirs, own
    return best


def most(counts: Counter[str]) -> str:
    return counts.most_common(1)[0][0] if counts else ""
