"""How parts of a procedure are printed, and what a person says to one."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any, Final

import typer

from watchdog.app.procedures.parts import Outcome, Part
from watchdog.cli.output import emit, say, word
from watchdog.config.spans import EXAMPLE, parse_ratio, parse_span
from watchdog.model.time import Span

WIDTH: Final = 9


def show_parts(guard: str, parts: AsyncIterator[Part], *, strict: bool, as_json: bool) -> None:
    """Prints each part when it is done, and exits with 1 if one failed or, when strict, was not run."""

    async def follow() -> list[Part]:
        seen: list[Part] = []
        async for part in parts:
            seen.append(part)
            if not as_json:
                _print(part)
        return seen

    found = asyncio.run(follow())
    well = not any(_bad(part, strict=strict) for part in found)
    if as_json:
        emit({"guard": guard, "ok": well, "parts": [_json(part) for part in found]})
    if not well:
        raise typer.Exit(1)


def _bad(part: Part, *, strict: bool) -> bool:
    return part.outcome is Outcome.FAILED or (strict and part.outcome is Outcome.NOT_RUN)


def _print(part: Part) -> None:
    say(word(part.outcome, WIDTH), f"{part.name}: {part.detail}")
    for line in part.lines:
        say(" " * WIDTH, f"  {line}")


def _json(part: Part) -> dict[str, Any]:
    return {**asdict(part), "numbers": dict(part.numbers), "lines": list(part.lines)}


def length(text: str, option: str) -> Span:
    """A length of time that a person gave.

    Raises:
        typer.BadParameter: It is none, or nothing.
    """
    try:
        found = parse_span(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} {error}; write {EXAMPLE}", param_hint=option) from error
    if not found:
        raise typer.BadParameter("must be longer than nothing", param_hint=option)
    return found


def ratio(text: str, option: str) -> float:
    """A share that a person gave, from 0 to 1.

    Raises:
        typer.BadParameter: It is none.
    """
    try:
        return parse_ratio(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} {error}; write a share like 5% or 0.05", param_hint=option) from error
