"""Expressions of rules: what is refused when they are written, and what they come to."""

import pytest

from delivery.detection.facts import FactType
from delivery.rules.expressions import (
    Evaluated,
    ExpressionSet,
    InvalidExpression,
    check_expression,
    conjuncts,
    names_in,
)

TYPES = {
    "text.links": FactType.INT,
    "pair.is_first": FactType.BOOL,
    "client.trust": FactType.STRING,
    "list.bad": FactType.INT,
}


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("text.linkz > 0", "line 1, column 5: there is no fact or list text.linkz"),
        ("text.links >\n 'a'", "line 1, column 12: found no matching overload"),
        ("text.links", "it must be a condition"),
        ("text.links >", "line 1, column 13: Syntax error"),
        ("", "it is empty"),
        ("  ", "it is empty"),
        ("true && " * 600 + "true", "at most 4000 are allowed"),
        ("(" * 21 + "true" + ")" * 21, "at most 20 are allowed"),
        ("unknown_function(text.links)", "line 1"),
    ],
)
def test_an_expression_that_cannot_be_used_is_refused_with_its_place(expression: str, sentence: str) -> None:
    with pytest.raises(InvalidExpression, match=sentence.replace("(", r"\(")):
        check_expression(expression, TYPES)


def test_expressions_are_evaluated_together() -> None:
    expressions = ExpressionSet(
        ["text.links > 1", "client.trust == 'normal' && pair.is_first", "list.bad in [3, 4]"], TYPES
    )

    outcomes = expressions.evaluate({"text.links": 2, "client.trust": "normal", "pair.is_first": False, "list.bad": 4})

    assert [Evaluated(holds=True), Evaluated(holds=False), Evaluated(holds=True)] == outcomes


def test_an_expression_that_fails_leaves_the_others_as_they_are() -> None:
    expressions = ExpressionSet(["1 / text.links > 0", "pair.is_first"], TYPES)

    assert [Evaluated(holds=False, failed=True), Evaluated(holds=True)] == expressions.evaluate(
        {"text.links": 0, "pair.is_first": True}
    )


def test_loops_are_stopped() -> None:
    numbers = "[" + ",".join(map(str, range(100))) + "]"
    nested = f"{numbers}.all(a, {numbers}.all(b, {numbers}.all(c, {numbers}.all(d, a + b + c + d >= 0))))"

    assert [Evaluated(holds=False, failed=True)] == ExpressionSet([nested], TYPES).evaluate({})


@pytest.mark.parametrize(
    ("expression", "parts"),
    [
        ("a.b > 1", ["a.b > 1"]),
        ("a.b > 1 && (c.d || e.f) && g.h == ' && '", ["a.b > 1", "(c.d || e.f)", "g.h == ' && '"]),
        ("a.b && c.d || e.f", ["a.b && c.d || e.f"]),
        ("a.b ? c.d : e.f && g.h", ["a.b ? c.d : e.f && g.h"]),
    ],
)
def test_the_parts_that_must_all_hold_are_found(expression: str, parts: list[str]) -> None:
    assert parts == conjuncts(expression)


def test_names_in_quoted_texts_are_no_facts() -> None:
    assert {"text.links", "pair.is_first"} == names_in("text.links > 0 && 'text.emails' != \"a.b\" && pair.is_first")
