"""What precision costs: where a lane leaves the highest precision at hand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playground.runs.agreement import agreement, difference, reference_of
from playground.runs.record import Record
from tests.support.measured import record

WORDS = st.text("ab .,\n好é", max_size=40)


def lane(precision: str, ids: list[int], **changes: Any) -> Record:
    return Record.model_validate(record(f"pytorch:CPU:{precision}", token_ids=ids, **changes))


def test_each_lane_tells_where_it_leaves_the_highest_precision() -> None:
    lanes = [
        lane("int4", [1, 2, 9, 4, 9]),
        lane("int8", [1, 2, 3, 4, 5]),
        lane("fp32", [1, 2, 3, 4, 5]),
    ]
    agreements = agreement(lanes, temperature=0.0, first=4)
    assert agreements is not None
    int4, int8 = agreements
    assert (int4.lane, int4.reference) == ("pytorch:CPU:int4", "pytorch:CPU:fp32")
    assert (int4.compared, int4.leaves_at, int4.agreeing, int4.counted) == (5, 2, 3, 4)
    assert (int8.leaves_at, int8.agreeing, int8.counted) == (None, 4, 4)


def test_only_what_both_have_is_compared() -> None:
    agreements = agreement([lane("fp16", [1, 2, 3]), lane("int8", [1, 2, 3, 4, 5])], 0)
    assert agreements is not None
    assert (agreements[0].compared, agreements[0].leaves_at, agreements[0].counted) == (3, None, 3)


@pytest.mark.parametrize(
    ("precisions", "highest"),
    [
        (["int4", "int8"], "int8"),
        (["int8", "bf16", "fp16"], "bf16"),
        (["fp16", "fp32"], "fp32"),
        (["30tps", "int4"], "int4"),
    ],
)
def test_the_reference_is_the_highest_precision_and_the_first_of_equals(
    precisions: list[str], highest: str
) -> None:
    reference = reference_of([lane(precision, [1]) for precision in precisions], 0.0)
    assert reference is not None and reference.precision == highest


@pytest.mark.parametrize("temperature", [0.7, None])
def test_answers_that_were_drawn_by_chance_cannot_be_compared(temperature: float | None) -> None:
    assert agreement([lane("fp32", [1]), lane("int8", [1])], temperature) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "another"},
        {"model": "none"},
        {"prompt_tokens": 38},
        {"prompt_tokens": None},
        {"token_ids": []},
        {"status": "error"},
        {"precision": "30tps"},
    ],
)
def test_a_lane_with_another_prompt_or_no_answer_is_not_compared(changes: dict[str, Any]) -> None:
    assert agreement([lane("fp32", [1]), lane("int8", [1]).model_copy(update=changes)], 0.0) is None


def test_the_words_that_differ_are_marked() -> None:
    assert difference("The capital is Paris.", "The capital is Lyon.") == [
        ("equal", "The capital is "),
        ("delete", "Paris"),
        ("insert", "Lyon"),
        ("equal", "."),
    ]
    assert difference("首都是巴黎", "首都是里昂")[0] == ("equal", "首都是")


@given(WORDS, WORDS)
def test_the_pieces_put_together_are_the_two_texts(reference: str, answer: str) -> None:
    pieces = difference(reference, answer)
    assert "".join(text for op, text in pieces if op != "insert") == reference
    assert "".join(text for op, text in pieces if op != "delete") == answer
    assert all(text for _, text in pieces)


@pytest.mark.timeout(60)  # minutes, were all of it compared word by word
def test_very_long_answers_do_not_take_minutes() -> None:
    reference = " ".join(f"word{number % 997}" for number in range(40_000))
    answer = " ".join(f"word{number % 991}" for number in range(40_000))
    pieces = difference(reference, answer)
    assert "".join(text for op, text in pieces if op != "delete") == answer
