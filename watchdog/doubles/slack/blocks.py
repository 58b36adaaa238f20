"""Which blocks Slack takes: kinds, required parts, lengths. The limits are those of Slack's Block Kit reference."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from watchdog.doubles.slack.errors import invalid_blocks
from watchdog.doubles.slack.state import Json

MAX_BLOCKS = 50
MAX_BLOCKS_IN_VIEW = 100

Problems = Iterator[str]
Check = Callable[[Json, str], Problems]


def check_blocks(blocks: list[Json], *, most: int = MAX_BLOCKS) -> None:
    """Refuse what Slack would refuse.

    Raises:
        SlackError: `invalid_blocks` with every problem and its JSON pointer.
    """
    problems = list(_problems(blocks, most))
    if problems:
        raise invalid_blocks(problems)


def elements_of(block: Json) -> list[Json]:
    """The interactive elements of a block: those of `actions`, the accessory of `section`."""
    if block.get("type") == "actions":
        return list(block.get("elements", []))
    if block.get("type") == "section" and isinstance(block.get("accessory"), dict):
        return [block["accessory"]]
    return []


def _problems(blocks: list[Json], most: int) -> Problems:
    if len(blocks) > most:
        yield f"no more than {most} items allowed [json-pointer:/blocks]"
    seen: set[str] = set()
    for number, block in enumerate(blocks):
        at = f"/blocks/{number}"
        kind = block.get("type")
        check = _BLOCKS.get(kind) if isinstance(kind, str) else None
        if check is None:
            yield f"unsupported type: {kind} [json-pointer:{at}/type]"
            continue
        yield from check(block, at)
        yield from _text_value(block.get("block_id"), 255, f"{at}/block_id", required=False)
        block_id = block.get("block_id")
        if isinstance(block_id, str):
            if block_id in seen:
                yield f"`block_id` must be unique [json-pointer:{at}/block_id]"
            seen.add(block_id)
    yield from _action_ids(blocks)


def _action_ids(blocks: list[Json]) -> Problems:
    for number, block in enumerate(blocks):
        try:
            ids = [str(element["action_id"]) for element in elements_of(block) if "action_id" in element]
        except TypeError:
            continue  # already reported as a malformed block
        if len(set(ids)) < len(ids):
            yield f"`action_id` must be unique within a block [json-pointer:/blocks/{number}/elements]"


def _text_value(value: Any, most: int, at: str, *, required: bool = True) -> Problems:
    if value is None and not required:
        return
    if not isinstance(value, str):
        yield (
            f"must be a string [json-pointer:{at}]"
            if value is not None
            else f"missing required field [json-pointer:{at}]"
        )
    elif not value:
        yield f"must be more than 0 characters [json-pointer:{at}]"
    elif len(value) > most:
        yield f"must be less than {most + 1} characters [json-pointer:{at}]"


def _text_object(value: Any, most: int, at: str, *, plain: bool = False) -> Problems:
    if not isinstance(value, dict):
        yield (
            f"missing required field [json-pointer:{at}]" if value is None else f"must be an object [json-pointer:{at}]"
        )
        return
    kinds = ("plain_text",) if plain else ("plain_text", "mrkdwn")
    if value.get("type") not in kinds:
        yield f"must be one of {', '.join(kinds)} [json-pointer:{at}/type]"
    yield from _text_value(value.get("text"), most, f"{at}/text")


def _section(block: Json, at: str) -> Problems:
    if block.get("text") is None and not block.get("fields"):
        yield f"must define either `text` or `fields` [json-pointer:{at}]"
    if block.get("text") is not None:
        yield from _text_object(block["text"], 3000, f"{at}/text")
    yield from _each(block.get("fields", []), 10, f"{at}/fields", lambda item, where: _text_object(item, 2000, where))
    if block.get("accessory") is not None:
        yield from _element(block["accessory"], f"{at}/accessory", _ACCESSORIES)


def _header(block: Json, at: str) -> Problems:
    yield from _text_object(block.get("text"), 150, f"{at}/text", plain=True)


def _divider(_block: Json, _at: str) -> Problems:
    yield from ()


def _image(block: Json, at: str) -> Problems:
    yield from _text_value(block.get("alt_text"), 2000, f"{at}/alt_text")
    if block.get("slack_file") is None:
        yield from _text_value(block.get("image_url"), 3000, f"{at}/image_url")
    if block.get("title") is not None:
        yield from _text_object(block["title"], 2000, f"{at}/title", plain=True)


def _context(block: Json, at: str) -> Problems:
    def check(item: Json, where: str) -> Problems:
        return _image(item, where) if item.get("type") == "image" else _text_object(item, 2000, where)

    yield from _each(block.get("elements"), 10, f"{at}/elements", check)


def _actions(block: Json, at: str) -> Problems:
    yield from _each(block.get("elements"), 25, f"{at}/elements", lambda item, where: _element(item, where, _ELEMENTS))


def _markdown(block: Json, at: str) -> Problems:
    yield from _text_value(block.get("text"), 12_000, f"{at}/text")


def _input(block: Json, at: str) -> Problems:
    yield from _text_object(block.get("label"), 2000, f"{at}/label", plain=True)
    yield from _element(block.get("element"), f"{at}/element", _INPUTS)


def _rich_text(block: Json, at: str) -> Problems:
    yield from _each(block.get("elements"), 1000, f"{at}/elements", lambda _item, _where: iter(()))


def _each(value: Any, most: int, at: str, check: Check) -> Problems:
    if not isinstance(value, list):
        yield f"missing required field [json-pointer:{at}]"
        return
    if len(value) > most:
        yield f"no more than {most} items allowed [json-pointer:{at}]"
    for number, item in enumerate(value):
        if isinstance(item, dict):
            yield from check(item, f"{at}/{number}")
        else:
            yield f"must be an object [json-pointer:{at}/{number}]"


def _element(value: Any, at: str, allowed: Mapping[str, Check]) -> Problems:
    if not isinstance(value, dict):
        yield f"must be an object [json-pointer:{at}]"
        return
    check = allowed.get(str(value.get("type")))
    if check is None:
        yield f"unsupported type: {value.get('type')} [json-pointer:{at}/type]"
        return
    # Slack makes up an action_id when there is none; an app that listens for its own always sends one.
    yield from _text_value(value.get("action_id"), 255, f"{at}/action_id", required=False)
    yield from check(value, at)
    if value.get("confirm") is not None:
        yield from _confirm(value["confirm"], f"{at}/confirm")


def _button(value: Json, at: str) -> Problems:
    yield from _text_object(value.get("text"), 75, f"{at}/text", plain=True)
    yield from _text_value(value.get("value"), 2000, f"{at}/value", required=False)
    yield from _text_value(value.get("url"), 3000, f"{at}/url", required=False)
    if value.get("style") not in (None, "primary", "danger"):
        yield f"must be one of primary, danger [json-pointer:{at}/style]"


def _confirm(value: Any, at: str) -> Problems:
    if not isinstance(value, dict):
        yield f"must be an object [json-pointer:{at}]"
        return
    yield from _text_object(value.get("title"), 100, f"{at}/title", plain=True)
    yield from _text_object(value.get("text"), 300, f"{at}/text")
    yield from _text_object(value.get("confirm"), 30, f"{at}/confirm", plain=True)
    yield from _text_object(value.get("deny"), 30, f"{at}/deny", plain=True)


def _options(value: Json, at: str) -> Problems:
    def check(item: Json, where: str) -> Problems:
        yield from _text_object(item.get("text"), 75, f"{where}/text")
        yield from _text_value(item.get("value"), 150, f"{where}/value")

    yield from _each(value.get("options"), 100, f"{at}/options", check)


def _any_input(value: Json, at: str) -> Problems:
    if value.get("placeholder") is not None:
        yield from _text_object(value["placeholder"], 150, f"{at}/placeholder", plain=True)


_CHOICES: Mapping[str, Check] = {
    "static_select": _options,
    "radio_buttons": _options,
    "checkboxes": _options,
    "users_select": _any_input,
    "datepicker": _any_input,
    "timepicker": _any_input,
}
_ELEMENTS = {"button": _button, "overflow": _options, **_CHOICES}
_ACCESSORIES = {"image": _image, **_ELEMENTS}
_INPUTS = {"plain_text_input": _any_input, "number_input": _any_input, **_CHOICES}
_BLOCKS: Mapping[str, Check] = {
    "section": _section,
    "header": _header,
    "divider": _divider,
    "image": _image,
    "context": _context,
    "actions": _actions,
    "markdown": _markdown,
    "input": _input,
    "rich_text": _rich_text,
}
