"""The condition of a conditional patch: `from c where ...`."""

from typing import Any

from emulator.cosmos.query.evaluate import compile_expression
from emulator.cosmos.query.grammar import parse_condition


def holds(text: str, document: dict[str, Any]) -> bool:
    """Whether the condition is true for the document. Raises CosmosError 400."""
    alias, expression = parse_condition(text)
    evaluate = compile_expression(expression, {}, frozenset({alias}))
    return evaluate({alias: document}) is True
