"""Texts that the tokeniser could hardly read, in another language than the rest, or too short to mean anything: judged on token ids alone."""

import unicodedata
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from .heads import Ints

SHORT_TOKENS = 2  # besides [CLS] and [SEP]
UNKNOWN_SHARE = 0.25
MOJIBAKE_MIN = 2
WORDS_MIN = 3
# What UTF-8 read as Latin-1 or Windows-1252 leaves behind once accents are stripped: "Ã©" becomes "a ©", "â€™" becomes "a € ™".
MOJIBAKE = frozenset("€™©®¢£¥§¨ª«¬¯±²³´¶¸¹º»¼½¾œžš�ˆ‰")
# Frequent function words that are whole tokens of the vocabulary and words of one of these languages only.
FUNCTION_WORDS = {
    "English": "the and of to is that for with you was this are have not be from your will it they",
    "German": "der das und ist nicht ein eine mit auf den dem sich von wir ich sie zu haben auch",
    "French": "le les des est et une dans pour que qui sur pas avec nous vous du au sont cette",
    "Spanish": "el los las y una por con para que del es se su no como más pero esta",
    "Italian": "il gli della di che è una per con non sono del si le alla questo anche",
    "Portuguese": "o os uma não com para que do da em se por mais foi como dos ao",
    "Dutch": "het een van de niet en dat zijn met voor op te ik ook aan maar",
}


class TextReader:
    def __init__(self, vocabulary: Path) -> None:
        self.tokens = vocabulary.read_text(encoding="utf-8").splitlines()
        self.unknown = self.tokens.index("[UNK]")
        words: dict[str, list[str]] = {}
        for language, text in FUNCTION_WORDS.items():
            for word in set(text.split()):
                words.setdefault(word, []).append(language)
        self.language = {word: known[0] for word, known in words.items() if len(known) == 1}

    def scripts(self, ids: Ints) -> Counter[str]:
        """Letters by script, word pieces included."""
        found: Counter[str] = Counter()
        for token in (self.tokens[i] for i in ids.tolist()):
            if not (token.startswith("[") and token.endswith("]")):
                for letter in token.removeprefix("##"):
                    if letter.isalpha():
                        found[script_of(letter)] += 1
        return found

    def languages(self, ids: Ints) -> Counter[str]:
        return Counter(self.language[t] for t in (self.tokens[i] for i in ids.tolist()) if t in self.language)

    def mojibake(self, ids: Ints) -> int:
        """Debris characters directly after a letter, as a misread multi-byte character leaves them."""
        words = [self.tokens[i] for i in ids.tolist()]
        return sum(1 for a, b in pairwise(words) if b.removeprefix("##") in MOJIBAKE and (a[-1:].isalpha() or a in MOJIBAKE))


@cache
def script_of(letter: str) -> str:
    return unicodedata.name(letter, "UNKNOWN").split(" ")[0].split("-")[0]


def text_issues(rows: list[Ints], row: Ints, vocabulary: Path) -> list[dict[str, Any]]:
    """`other_language` is judged against the dataset's own main script and language, so a wholly French dataset has none."""
    reader = TextReader(vocabulary)
    inner = [r[1:-1] for r in rows]
    scripts = [reader.scripts(r) for r in inner]
    languages = [reader.languages(r) for r in inner]
    main_script = most(sum(scripts, Counter[str]()))
    main_language = most(Counter(most(c) for c in languages if sum(c.values()) >= WORDS_MIN))
    found: list[dict[str, Any]] = []
    for i, ids in enumerate(inner):
        at = int(row[i])
        if len(ids) <= SHORT_TOKENS:
            found.append({"code": "short_text", "row": at, "score": 1 - len(ids) / (2 * SHORT_TOKENS), "detail": f"Only {len(ids)} word pieces."})
            continue
        unknown, debris = float(np.mean(ids == reader.unknown)), reader.mojibake(ids)
        if unknown >= UNKNOWN_SHARE:
            found.append(
                {"code": "encoding", "row": at, "score": unknown, "detail": f"The backbone knows none of {unknown:.0%} of its words or signs."}
            )
        elif debris >= MOJIBAKE_MIN:
            detail = f"{debris} places look like UTF-8 that was read as another encoding."
            found.append({"code": "encoding", "row": at, "score": min(1.0, 0.5 + debris / len(ids)), "detail": detail})
        letters = sum(scripts[i].values())
        strange = 1 - scripts[i][main_script] / letters if letters else 0.0
        here = most(languages[i])
        if strange > 0.5:
            detail = f"Mostly {most(scripts[i]).title()} letters, where the dataset has {main_script.title()}."
            found.append({"code": "other_language", "row": at, "score": strange, "detail": detail})
        elif main_language and here != main_language and languages[i][here] >= WORDS_MIN and languages[i][here] > 2 * languages[i][main_language]:
            share = languages[i][here] / sum(languages[i].values())
            detail = f"It reads like {here} ({languages[i][here]} function words), where the dataset is in {main_language}."
            found.append({"code": "other_language", "row": at, "score": share, "detail": detail})
    return found


def most(counts: Counter[str]) -> str:
    return counts.most_common(1)[0][0] if counts else ""
