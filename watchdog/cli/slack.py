"""`watchdog slack`."""

import asyncio
from typing import Annotated

import typer

from watchdog.cli.lazy import new_app
from watchdog.cli.options import Json
from watchdog.cli.output import emit, say
from watchdog.doubles.slack import SlackDouble, serve

app = new_app("Try out what is said in Slack.")


@app.callback()
def slack() -> None:
    """Try out what is said in Slack."""


@app.command()
def double(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="On 127.0.0.1; 0 takes a free one.")] = 0,
    channel: Annotated[list[str] | None, typer.Option("--channel", help="A channel; repeat.")] = None,
    as_json: Json = False,
) -> None:
    """Run a Slack workspace on this machine, with a page to read and press buttons on, until Ctrl-C."""
    bot_token, app_token = "xoxb-double", "xapp-double"

    def ready(running: SlackDouble) -> None:
        addresses = {
            "page": running.page_url,
            "SLACK_API_URL": running.api_url,
            "SLACK_BOT_TOKEN": bot_token,
            "SLACK_APP_TOKEN": app_token,
        }
        if as_json:
            emit(addresses)
        else:
            say(f"Slack's double is at {running.page_url}; for the daemon:")
            for name, value in list(addresses.items())[1:]:
                say(f"export {name}={value}")

    channels = tuple(channel or ("incidents", "stakeholders"))
    asyncio.run(serve(port=port, bot_token=bot_token, app_token=app_token, channels=channels, ready=ready))
