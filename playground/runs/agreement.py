"""How far the answers of one model's lanes agree with the one of the highest precision: pure
functions.

Agreement is not quality: two good answers may differ from the third token on. Only greedy answers
to the same prompt are compared.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from playground.runs.record import Record

FIRST = 64  # tokens at the beginning, of which the equal ones are counted
MAX_WORDS = 4_000  # and spaces, that are compared one by one; more would take seconds
RANKS = {"fp32": 0, "fp16": 1, "bf16": 1, "int8": 2, "int4": 3}
# Words, spaces, punctuation; scripts without spaces are split into characters.
_WORD = re.compile(r"\s+|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\u3040-\ud7af]+|.", re.S)

EQUAL, DELETE, INSERT = "equal", "delete", "insert"
Piece = tuple[str, str]


@dataclass(frozen=True)
class Agreement:
    """One lane against the reference.

    compared: the number of tokens that both have; leaves_at: the index (from 0) of the first one
    that differs, None where all are equal; agreeing: how many of the first `counted` are equal.
    """

    lane: str
    reference: str
    compared: int
    leaves_at: int | None
    agreeing: int
    counted: int


def agreement(
    records: Sequence[Record], temperature: float | None, first: int = FIRST
) -> list[Agreement] | None:
    """Each lane but the reference; None when nothing can be compared.

    records: of one run; temperature: of its settings, None if unknown; first: how many tokens at
    the beginning are counted.
    """
    reference = reference_of(records, temperature)
    if reference is None:
        return None
    others = [record for record in comparable(records, reference) if record is not reference]
    return [_against(reference, record, first) for record in others] or None


def reference_of(records: Sequence[Record], temperature: float | None) -> Record | None:
    """The record of the highest precision, the first of several; None unless the run is greedy."""
    answers = [record for record in records if _can_be_compared(record)]
    if temperature != 0 or not answers:
        return None
    return min(answers, key=lambda record: RANKS[record.precision or ""])


def comparable(records: Sequence[Record], reference: Record) -> list[Record]:
    """The records with the same model and prompt length as the reference."""
    return [
        record
        for record in records
        if _can_be_compared(record)
        and (record.model, record.prompt_tokens) == (reference.model, reference.prompt_tokens)
    ]


def difference(reference: str, answer: str) -> list[Piece]:
    """Word by word, from the reference to the answer: (equal | delete | insert, text).

    equal and delete together are the reference, equal and insert the answer.
    """
    a, b = _WORD.findall(reference), _WORD.findall(answer)
    pieces: list[Piece] = []
    matcher = difflib.SequenceMatcher(str.isspace, a[:MAX_WORDS], b[:MAX_WORDS])
    for _, a_from, a_to, b_from, b_to in matcher.get_opcodes():
        pieces += _pieces(a[a_from:a_to], b[b_from:b_to])
    return pieces + _pieces(a[MAX_WORDS:], b[MAX_WORDS:])


def _pieces(old: list[str], new: list[str]) -> list[Piece]:
    """One piece for equal words, otherwise one each for the deleted and the inserted words."""
    if old == new:
        return [(EQUAL, "".join(new))] if new else []
    return [(op, "".join(words)) for op, words in ((DELETE, old), (INSERT, new)) if words]


def _against(reference: Record, record: Record, first: int) -> Agreement:
    same = [a == b for a, b in zip(reference.token_ids, record.token_ids, strict=False)]
    return Agreement(
        lane=record.lane,
        reference=reference.lane,
        compared=len(same),
        leaves_at=same.index(False) if False in same else None,
        agreeing=sum(same[:first]),
        counted=min(first, len(same)),
    )


def _can_be_compared(record: Record) -> bool:
    return bool(
        record.precision in RANKS
        and record.model not in (None, "none")
        and record.prompt_tokens
        and record.token_ids
        and record.status in ("ok", "stopped")
    )
