from collections.abc import AsyncIterator
from html.parser import HTMLParser
from typing import Any

import aiohttp
import pytest
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from watchdog.doubles.slack import SlackDouble
from watchdog.doubles.slack.mrkdwn import to_html

BLOCKS: list[dict[str, Any]] = [
    {"type": "header", "text": {"type": "plain_text", "text": "Error rate 12 % < all"}},
    {"type": "section", "text": {"type": "mrkdwn", "text": "*orders* by <@U0ANA00001>"}, "accessory": None},
    {
        "type": "section",
        "fields": [{"type": "mrkdwn", "text": "*Rung*\nflag"}, {"type": "plain_text", "text": "plain"}],
    },
    {"type": "context", "elements": [{"type": "mrkdwn", "text": "_since_ 14:02"}]},
    {"type": "divider"},
    {"type": "image", "image_url": "https://example.org/chart.png", "alt_text": "errors a minute"},
    {
        "type": "actions",
        "elements": [
            {"type": "button", "text": {"type": "plain_text", "text": "Acknowledge"}, "action_id": "ack"},
            {
                "type": "button",
                "text": {"type": "plain_text", "text": "Abort"},
                "action_id": "abort",
                "style": "danger",
            },
        ],
    },
]


class Seen(HTMLParser):
    """Forms with their fields, and every tag and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.forms: list[dict[str, str]] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {key: value or "" for key, value in attrs}
        self.tags.append(tag)
        if tag not in {"meta", "input", "img", "hr", "br"}:
            self._open.append(tag)
        if tag == "form":
            self.forms.append({"": values["action"]})
        if tag == "input" and "name" in values:
            self.forms[-1][values["name"]] = values.get("value", "")
        if tag == "a":
            self.links.append(values["href"])

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
async def browser(double: SlackDouble) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(double.page_url) as session:
        yield session


async def look(browser: aiohttp.ClientSession, path: str = "/") -> Seen:
    async with browser.get(path) as answer:
        assert answer.status == 200
        assert "script" not in answer.headers["Content-Security-Policy"]
        return Seen(await answer.text())


async def test_a_person_reads_threads_with_their_blocks(
    double: SlackDouble, client: AsyncWebClient, browser: aiohttp.ClientSession
) -> None:
    parent = await client.chat_postMessage(channel="incidents", text="fallback", blocks=BLOCKS)
    await client.chat_postMessage(channel="incidents", text="rung *flag* done", thread_ts=parent["ts"])
    await client.chat_postEphemeral(channel="incidents", user="U0BEN00002", text="Ben only")

    page = await look(browser)
    for_ben = await look(browser, "/?user=U0BEN00002")

    for words in ("Error rate 12 % < all", "orders", "@Ana Souza", "Rung", "since", "rung flag done", "1 reply"):
        assert words in page.text
    assert "fallback" not in page.text
    assert ("Ben only" in page.text, "Ben only" in for_ben.text) == (False, True)
    assert [form["action_id"] for form in page.forms] == ["ack", "abort"]


async def test_a_button_on_the_page_presses_the_button_of_the_app(
    double: SlackDouble, client: AsyncWebClient, browser: aiohttp.ClientSession, connect: Any
) -> None:
    pressed: list[tuple[str, str]] = []

    async def app(socket: SocketModeClient, request: SocketModeRequest) -> None:
        pressed.append((request.payload["actions"][0]["action_id"], request.payload["user"]["id"]))
        await socket.send_socket_mode_response(SocketModeResponse(request.envelope_id))

    await connect(app)
    await client.chat_postMessage(channel="incidents", text="fallback", blocks=BLOCKS)
    form = (await look(browser, "/?user=U0BEN00002")).forms[0]

    async with browser.post(form[""], data=form) as answer:
        assert (answer.status, answer.url.path, "note" in answer.url.query) == (200, "/", False)

    assert pressed == [("ack", "U0BEN00002")]


@pytest.mark.parametrize("ack_seconds", [0.05])
async def test_the_page_says_when_the_app_does_not_answer_or_the_button_is_gone(
    double: SlackDouble, client: AsyncWebClient, browser: aiohttp.ClientSession
) -> None:
    posted = await client.chat_postMessage(channel="incidents", text="fallback", blocks=BLOCKS)
    form = (await look(browser)).forms[0]

    async with browser.post(form[""], data=form) as answer:
        assert "The app did not answer" in await answer.text()
    await client.chat_update(channel=posted["channel"], ts=posted["ts"], text="over", blocks=[])
    async with browser.post(form[""], data=form) as answer:
        assert "no button 'ack'" in Seen(await answer.text()).text


async def test_a_person_writes_on_a_page_that_does_not_refresh(
    double: SlackDouble, browser: aiohttp.ClientSession
) -> None:
    reading = await browser.get("/")
    page = await look(browser, "/write")
    writing = await browser.get("/write")

    async with browser.post("/write", data={**page.forms[0], "text": "looking at it"}) as answer:
        assert "looking at it" in await answer.text()

    assert ('http-equiv="refresh"' in await reading.text(), 'http-equiv="refresh"' in await writing.text()) == (
        True,
        False,
    )
    assert [(m.text, m.user) for m in double.messages("incidents")] == [("looking at it", "U0ANA00001")]


async def test_no_message_can_put_markup_or_script_into_the_page(
    double: SlackDouble, client: AsyncWebClient, browser: aiohttp.ClientSession
) -> None:
    evil = "<script>alert(1)</script> <javascript:alert(1)|x> &lt;img src=x onerror=alert(1)&gt; `<b>` \ud83d"
    await client.chat_postMessage(channel="incidents", text=evil)
    await client.chat_postMessage(
        channel="incidents", text="x", blocks=[{"type": "header", "text": {"type": "plain_text", "text": evil}}]
    )

    page = await look(browser, "/?note=<script>alert(1)</script>&channel=<b>&user=<i>")

    assert not {"script", "img", "b" * 3} & set(page.tags)
    assert not any(link.startswith("javascript") for link in page.links)
    assert "<script>alert(1)</script>" in page.text


@pytest.mark.parametrize(
    "path", ["/press", "/write", "/double/press", "/double/faults", "/response/x", "/api/chat.update"]
)
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{"),
        ("application/json", b"[" * 5000),
        ("application/json; charset=nope", b"{}"),
        ("application/json", b"\xff"),
        ("application/json", b'{"ts": {"a": [1]}, "kind": [], "method": 1, "times": "x"}'),
        ("application/x-www-form-urlencoded; charset=nope", b"a=b"),
        ("application/x-www-form-urlencoded", b"\xff=%ff&text=/x"),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=x", b"--x\r\nbad"),
    ],
)
async def test_no_malformed_request_is_the_servers_fault(
    browser: aiohttp.ClientSession, path: str, content_type: str, body: bytes
) -> None:
    headers = {"Content-Type": content_type, "Authorization": "Bearer xoxb-right"}
    async with browser.post(path, data=body, headers=headers, allow_redirects=False) as answer:
        assert answer.status < 500
        assert b"xoxb" not in await answer.read()


async def test_only_pictures_are_shown_other_files_are_saved(
    double: SlackDouble, client: AsyncWebClient, browser: aiohttp.ClientSession
) -> None:
    channel = double.workspace.channel("incidents").id
    for name in ("chart.png", "page.html"):
        await client.files_upload_v2(channel=channel, filename=name, content=b"<script>")

    page = await look(browser)
    kinds = []
    for file_id in double.workspace.files:
        async with browser.get(f"/files/{file_id}") as answer:
            kinds.append((answer.content_type, answer.headers.get("Content-Disposition")))

    assert kinds == [("image/png", None), ("application/octet-stream", "attachment")]
    assert page.tags.count("img") == 1
    assert (await browser.get("/files/F0")).status == 404


async def test_a_button_with_a_question_asks_it_before_it_presses(
    client: AsyncWebClient, browser: aiohttp.ClientSession
) -> None:
    plain = {"type": "plain_text", "text": "Really?"}
    confirm = {"title": plain, "text": plain, "confirm": {**plain, "text": "Yes"}, "deny": {**plain, "text": "No"}}
    element = {**BLOCKS[-1]["elements"][0], "confirm": confirm, "url": "javascript:alert(1)"}
    await client.chat_postMessage(channel="incidents", text="x", blocks=[{"type": "actions", "elements": [element]}])

    page = await look(browser)

    assert ("Really?" in page.text, "Yes" in page.text, "summary" in page.tags) == (True, True, True)
    assert not any(link.startswith("javascript") for link in page.links)


@pytest.mark.parametrize("headers", [{"Origin": "http://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}])
async def test_another_site_cannot_press_or_write(
    double: SlackDouble, browser: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    for path in ("/press", "/write", "/double/clear"):
        async with browser.post(path, data={"text": "x"}, headers=headers) as answer:
            assert answer.status == 403

    assert double.messages("incidents") == []


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("*bold* _italic_ ~gone~ `x*y*`", "<b>bold</b> <i>italic</i> <s>gone</s> <code>x*y*</code>"),
        ("```a\n  b```", "<pre>a\n  b</pre>"),
        ("2*3*4 and snake_case_name", "2*3*4 and snake_case_name"),
        (
            "<https://a.example/?x=1&amp;y=2|link>",
            '<a href="https://a.example/?x=1&amp;y=2" rel="noreferrer">link</a>',
        ),
        ("a &amp; b &lt; c", "a &amp; b &lt; c"),
        ("*see <@U1>*", '<b>see <span class="mention">@Ana</span></b>'),
        ("<!here> <!date^1^{time}|14:02>", '<span class="mention">@here</span> <span class="mention">14:02</span>'),
        ("> quoted\nnot", "<blockquote>quoted</blockquote>not"),
        (":white_check_mark: :unknown_one:", "✅ :unknown_one:"),
        ("one\ntwo", "one<br>two"),
    ],
)
def test_mrkdwn_is_shown_as_slack_shows_it(text: str, html: str) -> None:
    assert to_html(text, {"U1": "Ana"}.get) == html
