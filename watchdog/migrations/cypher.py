"""What a Cypher script does, as far as it can be seen without a database: a scan of words, not a parser."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_BLANKS = re.compile(
    r"""//[^\n]* | /\*.*?\*/ | '(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" | `(?:[^`]|``)*`""", re.VERBOSE | re.DOTALL
)
_COMMENTS = ("//", "/*")
_END = re.compile(r";[ \t]*(?:\n|\Z)")
_SCHEMA = re.compile(r"\A\s*(CREATE|DROP)\s+((\w+\s+)?INDEX|CONSTRAINT)\b", re.IGNORECASE)
_BATCHES = re.compile(r"\bIN\s+(\d+\s+CONCURRENT\s+|CONCURRENT\s+)?TRANSACTIONS\b", re.IGNORECASE)
_DELETE = re.compile(
    r"\bDELETE\s+(?P<what>.*?)(?=\b(?:WITH|RETURN|MATCH|OPTIONAL|CALL|SET|REMOVE|CREATE|MERGE|UNWIND|FOREACH|UNION|FINISH"
    r"|DETACH|NODETACH|DELETE)\b|[})]|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_OVERWRITE = re.compile(r"\bSET\s+(\w+)\s*=\s*", re.IGNORECASE)
_REMOVE = re.compile(r"\bREMOVE\b", re.IGNORECASE)
_DATABASE = re.compile(
    r"\A\s*(?:(?:CREATE|DROP|STOP)\s+(?:OR\s+REPLACE\s+)?(?:DATABASE|ALIAS|USER|ROLE)|TERMINATE)\b", re.IGNORECASE
)
_HIDDEN = re.compile(
    r"\bapoc\s*\.\s*(cypher|periodic|nodes\s*\.\s*delete|schema\s*\.\s*assert|refactor|merge|trigger|do)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Statement:
    """One statement of a script.

    Attributes:
        line: Where it begins, counted from 1.
        bare: It without comments, texts and quoted names, for looking at.
    """

    text: str
    line: int
    bare: str

    @property
    def schema(self) -> bool:
        """Whether it changes indexes or constraints, which Neo4j keeps apart from data."""
        return bool(_SCHEMA.match(self.bare))

    @property
    def batches(self) -> bool:
        """Whether it commits on the way."""
        return bool(_BATCHES.search(self.bare))

    @property
    def deleted(self) -> tuple[str, ...]:
        """What stands behind DELETE."""
        found = (match["what"] for match in _DELETE.finditer(self.bare))
        return tuple(each.strip().rstrip(";").strip() for what in found for each in what.split(","))

    @property
    def loses(self) -> str:
        """Which word destroys data; empty when none does."""
        if self.deleted:
            return "DELETE"
        if _REMOVE.search(self.bare):
            return "REMOVE"
        return "SET of all properties" if _OVERWRITE.search(self.bare) else ""


def parse(text: str) -> tuple[Statement, ...]:
    """The statements of a script, each ended by `;` at the end of a line."""
    bare = _BLANKS.sub(_blanked, text)
    statements = []
    start = 0
    for end in [*(match.start() for match in _END.finditer(bare)), len(text)]:
        begin = start + len(bare[start:end]) - len(bare[start:end].lstrip())
        if bare[start:end].strip():
            statements.append(Statement(text[begin:end].strip(), text.count("\n", 0, begin) + 1, bare[begin:end]))
        start = end + 1
    return tuple(statements)


def check(text: str, *, transactional: bool, backup: str) -> Iterator[str]:
    """What is wrong with a script, one sentence each, with its line in front."""
    statements = parse(text)
    if not statements:
        yield "line 1: the script holds no statement."
    for statement in statements:
        yield from (f"line {statement.line}: {problem}" for problem in _problems(statement, transactional, backup))


def _problems(statement: Statement, transactional: bool, backup: str) -> Iterator[str]:  # noqa: FBT001 - both are the step's options
    if transactional and statement.schema:
        yield "Neo4j keeps schema and data apart; put it in a step with transactional: false and a verify query."
    if transactional and statement.batches:
        yield "IN TRANSACTIONS commits by itself; set transactional: false and give a verify query."
    if _DATABASE.match(statement.bare):
        yield "databases, users and transactions of the server are not for a rollback."
    if hidden := _HIDDEN.search(statement.bare):
        yield f"{hidden[0]} hides what it does; write it as Cypher."
    for name in statement.deleted:
        if not _is_scoped(name, statement.bare):
            yield f"DELETE {name}: it is matched without label, type or property in its own pattern; name one there."
    if statement.loses and not backup:
        yield f"{statement.loses} destroys data that nothing keeps; name the backup point's id under backup."


def _is_scoped(name: str, bare: str) -> bool:
    """Whether a pattern that binds the name says which nodes or relationships are meant."""
    if not _WORD.fullmatch(name):
        return False
    pattern = re.compile(rf"[(\[]\s*{re.escape(name)}\s*(?=[:{{])")
    return bool(pattern.search(bare))


def _blanked(match: re.Match[str]) -> str:
    """Keeps places and lines; a quoted name stays a name."""
    text = match[0]
    filler = " " if text.startswith(_COMMENTS) else "_"
    return re.sub(r"[^\n]", filler, text)
