"""What a Cypher script does, as far as it can be seen without a database: a scan of words, not a parser.

What the scan cannot be sure of is refused, with a way to write it that it can read.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_BLANKS = re.compile(
    r"""//[^\n\r]* | /\*.*?\*/ | '(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" | `(?:[^`]|``)*`""", re.VERBOSE | re.DOTALL
)
_END = re.compile(r";[ \t\r]*(?:\n|\Z)")
_SCHEMA = re.compile(r"\A\s*(CREATE|DROP)\s+((\w+\s+)?INDEX|CONSTRAINT)\b", re.IGNORECASE)
_BEGIN = re.compile(
    r"(?:MATCH|OPTIONAL|CREATE|MERGE|UNWIND|CALL|WITH|RETURN|FOREACH|DROP|SHOW|LOAD|USE|CYPHER|EXPLAIN|PROFILE|ALTER"
    r"|GRANT|DENY|REVOKE|STOP|START|TERMINATE|RENAME)\b",
    re.IGNORECASE,
)
_BATCHES = re.compile(r"\bIN\s+(\d+\s+CONCURRENT\s+|CONCURRENT\s+)?TRANSACTIONS\b", re.IGNORECASE)
# A keyword is no label, property or parameter; a list goes on to the next clause.
_WORD_BEFORE = r"(?<![.:$&|!\w])"
_CLAUSE = (
    rf"(?={_WORD_BEFORE}(?:WITH|RETURN|MATCH|OPTIONAL|CALL|SET|REMOVE|CREATE|MERGE|ON|UNWIND|FOREACH|UNION|FINISH|DETACH|NODETACH"
    r"|DELETE|LOAD|USE)\b|[;]|\Z)"
)
_DELETE = re.compile(rf"{_WORD_BEFORE}DELETE\b(?P<what>.*?){_CLAUSE}", re.IGNORECASE | re.DOTALL)
_SET = re.compile(
    rf"(?P<fresh>\bON\s+CREATE\s+)?{_WORD_BEFORE}(?P<word>SET|REMOVE)\b(?P<what>.*?){_CLAUSE}",
    re.IGNORECASE | re.DOTALL,
)
_LABELS_ADDED = re.compile(r"\w+(?:\s*:\s*\w+)+")
_CHANGED = re.compile(r"(?P<name>\w+)\s*(?:\.\s*\w+|\+?=|(?:\s*:\s*\w+)+\s*\Z)")
_SERVER = re.compile(
    r"\b(?:CREATE|DROP|STOP|START|ALTER|RENAME|TERMINATE|DEALLOCATE|REALLOCATE|GRANT|DENY|REVOKE|ENABLE|SHOW)\s+"
    r"(?:OR\s+REPLACE\s+)?(?:COMPOSITE\s+|IMMUTABLE\s+|CURRENT\s+)?"
    r"(?:DATABASES?|ALIAS|USERS?|ROLES?|SERVERS?|TRANSACTIONS?|PRIVILEGES?|ALL|SUPPORTED)\b"
    rf"|{_WORD_BEFORE}(?:GRANT|DENY|REVOKE)\s",
    re.IGNORECASE,
)
_ELSEWHERE = re.compile(rf"{_WORD_BEFORE}USE\s+\w|\A\s*(?:CYPHER|EXPLAIN|PROFILE)\b", re.IGNORECASE)
_CALL = re.compile(rf"{_WORD_BEFORE}CALL\s+(?P<name>\w+(?:\s*\.\s*\w+)*)", re.IGNORECASE)
_PROCEDURES = re.compile(
    r"db\.(labels|relationshiptypes|propertykeys|awaitindex(es)?|info|ping"
    r"|index\.(fulltext\.query(nodes|relationships)|vector\.query(nodes|relationships)))"
)
_HIDDEN = re.compile(
    r"\bapoc\s*\.\s*(cypher|periodic|nodes\s*\.\s*delete|schema\s*\.\s*assert|refactor|merge|trigger|do)\b",
    re.IGNORECASE,
)
_DYNAMIC = re.compile(r"[:&|!(]\s*\$\s*(?:any|all)?\s*\(", re.IGNORECASE)
_ESCAPE = re.compile(r"\\u", re.IGNORECASE)
_RESERVED = ("WatchdogFence", "WatchdogReceipt")
_NAME = re.compile(r"\w+")
# What may stand before a pattern without a blank; any other word there is a function's.
_BEFORE_PATTERNS = re.compile(
    r"MATCH|MERGE|CREATE|WHERE|AND|OR|XOR|NOT|IN|RETURN|WITH|WHEN|THEN|ELSE|ALL|ANY|SHORTEST|PATHS?|GROUPS?|EXISTS"
    r"|DELETE|OPTIONAL|ON|AS|\d*",
    re.IGNORECASE,
)
_SCOPE = (
    r"\s*(?:(?::|IS\b)\s*(?P<labels>\w+(?:\s*[:&|]\s*:?\s*\w+)*)\s*(?:\*[\d.\s]*)?(?=[)\]{]|WHERE\b)"
    r"|\{\s*\w+\s*:)"
)
_FIRST_QUOTED = 0x4E00
_QUOTED_SPAN = 0x5000


@dataclass(frozen=True)
class Statement:
    """One statement of a script.

    Attributes:
        line: Where it begins, counted from 1.
        bare: It without comments and texts, with quoted names in letters that no keyword has, for looking at.
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
        return tuple(each for match in _DELETE.finditer(self.bare) for each in _listed(match["what"]))

    @property
    def changed(self) -> tuple[tuple[str, str], ...]:
        """What stands behind SET and REMOVE, each with its word; labels added and what is new are left out."""
        return tuple(
            (match["word"].upper(), each)
            for match in _SET.finditer(self.bare)
            for each in _listed(match["what"])
            if not match["fresh"] and not (match["word"].upper() == "SET" and _LABELS_ADDED.fullmatch(each))
        )

    @property
    def loses(self) -> str:
        """Which word destroys data; empty when none does."""
        words = {word for word, _ in self.changed}
        return "DELETE" if self.deleted else next((word for word in ("REMOVE", "SET") if word in words), "")


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


def check(text: str, *, transactional: bool, backup: str, backup_label: str = "MigrationBackup") -> Iterator[str]:
    """What is wrong with a script, one sentence each, with its line in front."""
    statements = parse(text)
    if not statements:
        yield "line 1: the script holds no statement."
    if escape := _ESCAPE.search(text):
        line = text.count("\n", 0, escape.start()) + 1
        yield f"line {line}: \\u is read as another character before anything else; write the character itself."
    for statement in statements:
        problems = (*_bounds(statement, transactional), *_scope(statement, backup_label))
        yield from (f"line {statement.line}: {problem}" for problem in problems)
        if statement.loses and not backup:
            lost = f"{statement.loses} destroys data that nothing keeps"
            yield f"line {statement.line}: {lost}; name the backup point's id under backup."


def _bounds(statement: Statement, transactional: bool) -> Iterator[str]:  # noqa: FBT001 - the step's option
    bare = statement.bare
    if not _BEGIN.match(bare):
        yield f"{statement.text.split()[0]} begins no Cypher statement; begin with MATCH, CREATE, MERGE …"
    if transactional and statement.schema:
        yield "Neo4j keeps schema and data apart; put it in a step with transactional: false and a verify query."
    if transactional and statement.batches:
        yield "IN TRANSACTIONS commits by itself; set transactional: false and give a verify query."
    if _SERVER.search(bare):
        yield "databases, users and transactions of the server are not for a rollback."
    if _ELSEWHERE.search(bare):
        yield "USE, CYPHER, EXPLAIN and PROFILE are not for a rollback; leave them out."
    if hidden := _HIDDEN.search(bare):
        yield f"{hidden[0]} hides what it does; write it as Cypher."
    for call in _CALL.finditer(bare):
        name = re.sub(r"\s", "", statement.text[call.start("name") : call.end("name")])
        if not _PROCEDURES.fullmatch(re.sub(r"\s", "", call["name"]).lower()):
            yield f"CALL {name} may do anything; write what it does as Cypher."
    if _DYNAMIC.search(bare):
        yield "a label or type out of an expression cannot be checked; write its name."
    for name in _RESERVED:
        if _mentions(bare, name):
            yield f"{name} is the watchdog's own; leave it out."


def _scope(statement: Statement, backup_label: str) -> Iterator[str]:
    for what in statement.deleted:
        if not _is_scoped(what, statement.bare):
            yield (
                f"DELETE {_shown(what)}: it is matched without label, type or property in one of its patterns; "
                "name one in each."
            )
    for word, what in statement.changed:
        found = _CHANGED.match(what)
        if not found or not _is_scoped(found["name"], statement.bare):
            yield (
                f"{word} {_shown(what)}: write {word} name.property, and name a label, type or property in each "
                "pattern of the name."
            )
    names = {*statement.deleted, *(match["name"] for _, what in statement.changed if (match := _CHANGED.match(what)))}
    for name in sorted(names):
        if any(_mentions(pattern, backup_label) for pattern in _patterns(name, statement.bare)):
            yield f"{_shown(name)} is a backup point, which a rollback must leave as it is."


def _is_scoped(name: str, bare: str) -> bool:
    """Whether each pattern of a name says which nodes or relationships are meant, and nothing else gives it a value."""
    if not _NAME.fullmatch(name) or re.search(rf"\b(?:AS\s+{name}\b|{name}\s+IN\b|{name}\s*=\s*[(\w])", _sets(bare)):
        return False
    patterns = list(_patterns(name, bare))
    return bool(patterns) and all(patterns)


def _patterns(name: str, bare: str) -> Iterator[str]:
    """The scope in each pattern of a name: its labels and properties, empty where there are none."""
    if not _NAME.fullmatch(name):
        return
    for found in re.finditer(rf"(?P<before>\w*)(?P<blank>\s*)[(\[]\s*{name}\b", bare):
        word = found["before"]
        if word.upper() == "CALL" or not (found["blank"] or _BEFORE_PATTERNS.fullmatch(word)):
            continue  # a subquery that takes the name over, or a function's argument
        scope = re.compile(_SCOPE, re.IGNORECASE).match(bare, found.end())
        yield scope[0] if scope else ""


def _sets(bare: str) -> str:
    """Without SET and what it assigns, where `name = …` means something else than a path's name."""
    return _SET.sub(" ", bare)


def _listed(text: str) -> Iterator[str]:
    """The parts between commas, up to the bracket that closes something opened before."""
    depth = 0
    part = ""
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if depth < 0:
            break
        if character == "," and depth == 0:
            yield part.strip()
            part = ""
        else:
            part += character
    yield part.strip()
    if depth > 0:  # a clause inside brackets hides what comes after them
        yield text.strip()[-1:]


def _mentions(bare: str, name: str) -> bool:
    return bool(re.search(rf"(?<!\w)(?:{re.escape(name)}|{_quoted(name)})(?!\w)", bare))


def _quoted(name: str) -> str:
    return "".join(chr(_FIRST_QUOTED + ord(each) % _QUOTED_SPAN) for each in name)


def _shown(bare: str) -> str:
    """As it was written, more or less."""
    return "".join(chr(ord(each) - _FIRST_QUOTED) if ord(each) >= _FIRST_QUOTED else each for each in bare)


def _blanked(match: re.Match[str]) -> str:
    """Keeps places and lines; a quoted name stays a name, but is no keyword."""
    text = match[0]
    if text.startswith("`"):
        return " " + "".join(each if each == "\n" else _quoted(each) for each in text[1:-1]) + " "
    if text.startswith(("//", "/*")):
        return re.sub(r"[^\n]", " ", text)
    return " " + re.sub(r"[^\n]", "_", text[1:-1]) + " "
