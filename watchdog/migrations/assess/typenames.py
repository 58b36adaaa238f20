"""Types, and which changes of type leave the stored rows as they are."""

from dataclasses import dataclass
from typing import Any, Final

from watchdog.migrations.assess.locks import Work
from watchdog.migrations.assess.sqltext import same, strings
from watchdog.migrations.parser import postgast, tree

_FREE_TEXT: Final = frozenset({"text", "varchar"})
_PRECISION: Final = frozenset({"timestamp", "timestamptz", "time", "timetz"})
_LENGTH: Final = frozenset({"varchar", "varbit"})
_MOMENTS: Final = frozenset({"timestamp", "timestamptz"})
_SAME_BYTES: Final = frozenset({("cidr", "inet"), ("xml", "text"), ("xml", "varchar")})
_FULL_PRECISION: Final = 6


@dataclass(frozen=True)
class TypeName:
    """A type: the name that the parser gives it, its modifiers, and how often it is an array."""

    name: str
    modifiers: tuple[int, ...] = ()
    arrays: int = 0

    @property
    def is_free_text(self) -> bool:
        """Whether it is text of any length."""
        return self.name in _FREE_TEXT and not self.modifiers and not self.arrays


def of(node: Any) -> TypeName:
    """The type out of a parse tree."""
    modifiers = (each.a_const.ival.ival for each in node.typmods if each.HasField("a_const"))
    name = strings(node.names)[-1] if node.names else ""
    return TypeName(name, tuple(modifiers), len(node.array_bounds))


def read(text: str) -> TypeName:
    """The type out of PostgreSQL's own writing: `character varying(20)`."""
    [statement] = postgast.parse(f"SELECT NULL::{text}").stmts
    return of(statement.stmt.select_stmt.target_list[0].res_target.val.type_cast.type_name)


def work(old: TypeName, new: TypeName, *, utc: bool = False) -> Work:
    """What a change of type does with the stored rows, by the ordinary cast."""
    if old == new:
        return Work.NONE
    if old.arrays != new.arrays:
        return Work.REWRITE
    if old.name == new.name:
        return Work.NONE if _widens(old, new) else Work.REWRITE
    if {old.name, new.name} <= _FREE_TEXT:
        return Work.NONE if not new.modifiers else Work.REWRITE
    if {old.name, new.name} == _MOMENTS:
        return Work.NONE if utc and _widens(old, new) else Work.REWRITE
    return Work.NONE if (old.name, new.name) in _SAME_BYTES and not new.modifiers else Work.REWRITE


def _widens(old: TypeName, new: TypeName) -> bool:
    if old.modifiers == new.modifiers:
        return True
    if new.name in _PRECISION:
        before, after = ((each.modifiers or (_FULL_PRECISION,))[0] for each in (old, new))
        return after >= before
    if not new.modifiers:
        return new.name in {*_LENGTH, "numeric"}
    if not old.modifiers:
        return False
    if new.name == "numeric":
        (digits, scale), (more, new_scale) = (_digits(each) for each in (old, new))
        return more >= digits and new_scale == scale
    return new.name in _LENGTH and new.modifiers[0] >= old.modifiers[0]


def _digits(numeric: TypeName) -> tuple[int, int]:
    return numeric.modifiers[0], numeric.modifiers[1] if len(numeric.modifiers) > 1 else 0


def loses(old: TypeName, new: TypeName) -> bool:
    """Whether some value of the old type has no equal in the new one."""
    wider = {("int2", "int4"), ("int2", "int8"), ("int4", "int8"), ("int2", "numeric"), ("int4", "numeric")}
    wider |= {("int8", "numeric"), ("float4", "float8"), ("date", "timestamp"), ("json", "text"), ("uuid", "text")}
    if old.arrays != new.arrays:
        return True
    if (old.name, new.name) in wider:
        return bool(new.modifiers)
    return work(old, new, utc=True) is not Work.NONE


def is_plain_cast(column: str, using: Any, target: Any) -> bool:
    """Whether USING says only what would happen without it: the column, or its cast to the new type."""
    inner = postgast.unwrap_node(using)
    if isinstance(inner, tree.TypeCast) and same(inner.type_name, target):
        inner = postgast.unwrap_node(inner.arg)
    return isinstance(inner, tree.ColumnRef) and strings(inner.fields)[-1:] == (column,)
