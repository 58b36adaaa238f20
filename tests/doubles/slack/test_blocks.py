from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    ContextBlock,
    DividerBlock,
    HeaderBlock,
    ImageBlock,
    MarkdownTextObject,
    SectionBlock,
)

from watchdog.doubles.slack.blocks import check_blocks
from watchdog.doubles.slack.errors import SlackError


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def header(text: str) -> dict[str, Any]:
    return {"type": "header", "text": {"type": "plain_text", "text": text}}


def button(text: str, action_id: str = "ack", **more: Any) -> dict[str, Any]:
    return {"type": "button", "text": {"type": "plain_text", "text": text}, "action_id": action_id, **more}


def actions(*elements: dict[str, Any]) -> dict[str, Any]:
    return {"type": "actions", "elements": list(elements)}


@pytest.mark.parametrize(
    "block",
    [
        SectionBlock(text="x" * 3000),
        SectionBlock(fields=["*a*", "b"]),
        SectionBlock(text="x", accessory=ButtonElement(text="Open", action_id="open", url="https://example.org")),
        HeaderBlock(text="x" * 150),
        DividerBlock(),
        ContextBlock(elements=[MarkdownTextObject(text="by _watchdog_")]),
        ImageBlock(image_url="https://example.org/a.png", alt_text="a chart"),
        ActionsBlock(elements=[ButtonElement(text="x" * 75, action_id="a", style="danger", value="v" * 2000)]),
    ],
    ids=lambda block: block.type,
)
def test_what_the_sdk_builds_within_slacks_limits_is_taken(block: Block) -> None:
    check_blocks([block.to_dict()])


@pytest.mark.parametrize(
    ("block", "pointer"),
    [
        (section("x" * 3001), "/blocks/0/text/text"),
        (section(""), "/blocks/0/text/text"),
        ({"type": "section"}, "/blocks/0"),
        (header("x" * 151), "/blocks/0/text/text"),
        ({"type": "header", "text": {"type": "mrkdwn", "text": "x"}}, "/blocks/0/text/type"),
        (actions(button("x" * 76)), "/blocks/0/elements/0/text/text"),
        (actions(button("x", action_id="a" * 256)), "/blocks/0/elements/0/action_id"),
        (actions(button("x", value="v" * 2001)), "/blocks/0/elements/0/value"),
        (actions(button("x", style="loud")), "/blocks/0/elements/0/style"),
        (actions(button("x"), button("y")), "/blocks/0/elements"),
        (actions(*(button("x", action_id=f"a{n}") for n in range(26))), "/blocks/0/elements"),
        (actions({"type": "lever"}), "/blocks/0/elements/0/type"),
        ({"type": "image", "image_url": "https://example.org/a.png"}, "/blocks/0/alt_text"),
        ({"type": "context", "elements": [{"type": "mrkdwn"}]}, "/blocks/0/elements/0/text"),
        ({"type": "banner"}, "/blocks/0/type"),
        ({"type": ["section"]}, "/blocks/0/type"),
        ({**section("x"), "block_id": "b" * 256}, "/blocks/0/block_id"),
    ],
)
def test_what_slack_refuses_is_refused_with_the_place(block: dict[str, Any], pointer: str) -> None:
    with pytest.raises(SlackError) as refusal:
        check_blocks([block])

    assert refusal.value.code == "invalid_blocks"
    assert any(f"[json-pointer:{pointer}]" in problem for problem in refusal.value.extra["errors"])
    assert refusal.value.extra["response_metadata"]["messages"][0].startswith("[ERROR] ")


@pytest.mark.parametrize(
    ("of_sdk", "raw"),
    [
        (lambda: SectionBlock(text="x" * 3001).to_dict(), section("x" * 3001)),
        (lambda: HeaderBlock(text="x" * 151).to_dict(), header("x" * 151)),
        (lambda: ButtonElement(text="x" * 76, action_id="a").to_dict(), actions(button("x" * 76))),
    ],
)
def test_the_limits_are_those_of_the_sdk_too(of_sdk: Any, raw: dict[str, Any]) -> None:
    with pytest.raises(SlackObjectFormationError):
        of_sdk()
    with pytest.raises(SlackError):
        check_blocks([raw])


def test_fifty_blocks_are_taken_and_one_more_is_not() -> None:
    check_blocks([section("x")] * 50)
    with pytest.raises(SlackError):
        check_blocks([section("x")] * 51)


def test_two_blocks_cannot_share_an_id() -> None:
    with pytest.raises(SlackError):
        check_blocks([{**section("x"), "block_id": "same"}, {**section("y"), "block_id": "same"}])


parts = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=4)
    | st.sampled_from(["plain_text", "button", "image"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "text", "elements", "fields", "accessory", "confirm", "url"]), inner)
    ),
    max_leaves=12,
)
kinds = st.sampled_from(["section", "header", "actions", "context", "image", "input", "markdown", "rich_text"])


blocks_of_any_shape = st.builds(
    lambda kind, rest: {**rest, "type": kind},
    kinds,
    st.dictionaries(
        st.sampled_from(["text", "elements", "fields", "accessory", "label", "element"]), parts, max_size=3
    ),
)


def problems_of(blocks: list[dict[str, Any]]) -> list[str]:
    try:
        check_blocks(blocks)
    except SlackError as problem:
        return list(problem.extra["errors"])
    return []


# A busy machine draws slowly; that says nothing about the check.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(blocks_of_any_shape, max_size=2))
def test_no_shape_of_block_crashes_the_check(blocks: list[dict[str, Any]]) -> None:
    assert all("[json-pointer:/blocks" in problem for problem in problems_of(blocks))
