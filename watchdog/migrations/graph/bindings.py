"""Whether a Cypher statement can only have written to labels and types that it names.

A scan of words that says yes to the plain cases alone; anything else is no, and then the whole graph is compared.
"""

import re

_SCOPES = re.compile(r"(?<![.:$&|!\w])(?:WITH|CALL|UNION|UNWIND|FOREACH|LOAD|DELETE|YIELD)\b", re.IGNORECASE)
_WRITTEN = re.compile(
    r"(?<![.:$&|!\w])(?:SET|REMOVE)\b(?P<what>.*?)"
    r"(?=(?<![.:$&|!\w])(?:SET|REMOVE|MATCH|OPTIONAL|MERGE|CREATE|RETURN|ON|WITH|FINISH)\b|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_NOT = re.compile(r"[:|&(]\s*[!%]")
_NAME = re.compile(r"[A-Za-z_]\w*")
_NESTED = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|\{[^{}]*\}")


def writes_what_it_names(statement: str) -> bool:
    """Whether every element that this statement changes has a label or a type that its pattern names.

    Args:
        statement: One statement, comments and texts in quotes blanked out.
    """
    if _SCOPES.search(statement) or _NOT.search(statement):
        return False
    variables = {name for found in _WRITTEN.finditer(statement) for name in _targets(found["what"])}
    return None not in variables and all(_is_named(statement, name) for name in variables if name)


def _targets(items: str) -> set[str | None]:
    """The variables of a SET or REMOVE; None for one that cannot be told."""
    while (flat := _NESTED.sub(" ", items)) != items:
        items = flat
    return {found.group() if (found := _NAME.match(item.strip())) else None for item in items.split(",")}


def _is_named(statement: str, variable: str) -> bool:
    # Later ones may stand in a condition; the first one binds it.
    first = re.search(rf"[(\[]\s*{variable}\b\s*(?P<named>:\s*[\w`])?", statement)
    return first is not None and first["named"] is not None
