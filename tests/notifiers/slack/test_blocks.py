import json

from hypothesis import given
from hypothesis import strategies as st

from watchdog.doubles.slack.blocks import check_blocks
from watchdog.model.communication import Audience
from watchdog.notifiers.slack.blocks import SECTION, SECTIONS, blocks, escape, plain_text, shorten, split
from watchdog.ports.notifiers import Message

Pairs = tuple[tuple[str, str], ...]
Buttons = tuple[tuple[str, str, str], ...]


def message(text: str, *, header: bool = False, fields: Pairs = (), buttons: Buttons = ()) -> Message:
    return Message(
        key="notice-1",
        guard="compliance",
        incident="incident-7",
        audience=Audience.RESPONDERS,
        channel="incidents",
        text=text,
        due_at=0,
        thread="incident-7",
        header=header,
        fields=fields,
        buttons=buttons,
    )


def test_a_head_has_a_title_text_fields_place_and_buttons_in_this_order() -> None:
    built = blocks(
        message(
            "Error rate 34 %\nSince 10:04",
            header=True,
            fields=(("Rung", "flag"),),
            buttons=(("ack", "Acknowledge", ""), ("hold", "Hold", "compliance|other")),
        )
    )

    assert [block["type"] for block in built] == ["header", "section", "section", "context", "actions"]
    assert built[0]["text"] == {"type": "plain_text", "text": "Error rate 34 %"}
    assert built[1]["text"] == {"type": "mrkdwn", "text": "Since 10:04"}
    assert built[2]["fields"] == [{"type": "mrkdwn", "text": "*Rung*\nflag"}]
    assert built[3]["elements"][0]["text"] == "compliance · incident-7"
    ack, hold = built[4]["elements"]
    assert (ack["action_id"], ack["value"], ack["style"]) == ("ack", "compliance|incident-7", "primary")
    assert (hold["value"], "style" in hold) == ("compliance|other", False)


def test_a_reply_is_its_text_alone() -> None:
    assert blocks(message("Rung code")) == [{"type": "section", "text": {"type": "mrkdwn", "text": "Rung code"}}]


def test_no_text_can_mention_or_link() -> None:
    (section,) = blocks(message("<!channel> a & b <https://example.com|here>"))

    assert section["text"]["text"] == "&lt;!channel&gt; a &amp; b &lt;https://example.com|here&gt;"


def test_a_long_text_is_split_at_ends_of_lines() -> None:
    lines = [f"line {number} " + "x" * 90 for number in range(50)]
    texts = [section["text"]["text"] for section in blocks(message("\n".join(lines)))]

    assert len(texts) == 2
    assert "\n".join(texts).split("\n") == lines


def test_what_does_not_fit_is_counted_and_said_where_to_find() -> None:
    texts = [section["text"]["text"] for section in blocks(message("x" * (SECTION * SECTIONS + 17)))]

    assert len(texts) == SECTIONS + 1
    assert texts[-1] == "_… cut here: 17 more characters; `watchdog incident show incident-7` has all of it_"


def test_more_fields_than_slack_takes_are_counted() -> None:
    built = blocks(message("Many", fields=tuple((f"name {number}", "value") for number in range(35))))

    shown = [field["text"] for block in built for field in block.get("fields", ())]
    assert len(shown) == 30
    assert shown[-1] == "_… cut here: 6 more fields_"


def test_a_cut_never_falls_into_an_escaped_character() -> None:
    assert shorten("a&&&", 8) == "a&amp;…"
    assert split("&&&", 11, 5) == (["&amp;&amp;", "&amp;"], 0)


def test_a_lone_surrogate_can_be_sent() -> None:
    assert escape("bad \ud800 name").encode() == b"bad ? name"


TEXT = st.text(max_size=80) | st.text(st.sampled_from("&<>\n x"), max_size=9000)


@given(
    text=TEXT,
    header=st.booleans(),
    fields=st.lists(st.tuples(TEXT, TEXT), max_size=40),
    buttons=st.lists(st.tuples(st.sampled_from(["ack", "deny", "hold"]), TEXT, st.text(max_size=50)), max_size=3),
)
def test_whatever_is_said_slack_takes_it(
    *, text: str, header: bool, fields: list[tuple[str, str]], buttons: list[tuple[str, str, str]]
) -> None:
    unique = {button[0]: button for button in buttons}
    said = message(text, header=header, fields=tuple(fields), buttons=tuple(unique.values()))

    built = blocks(said)

    check_blocks(built)
    json.dumps(built).encode()
    assert 0 < len(plain_text(said)) <= 3000
