"""What token ids tell of texts: other languages, other scripts, damage, and nothing."""

import numpy as np
from tokenizers import BertWordPieceTokenizer

from engine.text_checks import text_issues

from .conftest import BACKBONES

VOCABULARY = BACKBONES / "all-minilm-l6-v2" / "vocab.txt"
ENGLISH = [
    "I would like to return the lamp that came with a broken switch.",
    "The charge is still not in my account and the bank does not know about it.",
    "Which of these courses can be taken in the evening, I/O and all?",
    "We have been waiting for an answer from the office since the beginning of May.",
    "Charles de la Vallee Poussin was one of the great teachers of mathematics.",
]


def found(texts: list[str]) -> dict[int, str]:
    tokenizer = BertWordPieceTokenizer(str(VOCABULARY))
    ids = [np.array(tokenizer.encode(t).ids) for t in texts]
    return {i["row"]: i["code"] for i in text_issues(ids, np.arange(len(ids)), VOCABULARY)}


def test_short_sentences_of_other_languages_are_named() -> None:
    """The vocabulary is English: their words are pieces, hardly one of them a whole token."""
    others = [
        "Ik werk gratis. We hebben geen geld nodig.",
        "Quien da lo suyo antes de la muerte, que le den con un mazo en la frente.",
        "Je suis un simple logiciel, ecrit pour répéter ce qu'on m'a appris.",
        "Een boek of een cadeaubon is altijd veilig. Voor wie is het?",
        "Se fossimo soli nell'Universo, non sarebbe uno spreco di spazio?",
        "Aku bekerja di semua jenis komputer, itu tidak masalah bagiku.",
        "Det var inte jag som sa det, men jag har hört något om det.",
    ]
    assert found(ENGLISH + others) == {len(ENGLISH) + i: "other_language" for i in range(len(others))}


def test_another_script_is_another_language_and_no_damage() -> None:
    assert found([*ENGLISH, "如果实现方法很容易解释，那也许是个好主意", "Я не знаю этого человека"]) == {5: "other_language", 6: "other_language"}
    japanese = ["わたしはねこがすきです", "コンピュータのソフトウェア", "東京は日本の首都です", "これはペンですか", "ラーメンとカレーライス"]
    assert "other_language" not in found(japanese).values()


def test_signs_alone_say_nothing() -> None:
    assert found([*ENGLISH, "... !!! ???", "ok"]) == {5: "short_text", 6: "short_text"}
