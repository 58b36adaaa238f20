"""What became of something that was said to a guard."""

from typing import Any

from watchdog.cli.output import emit, say, unstarred


def show_answer(
    answer: dict[str, Any], *, as_json: bool, otherwise: str = "nothing changed: it was so already"
) -> None:
    """Prints the events that it brought about; `otherwise` when there are none."""
    if as_json:
        emit(answer)
        return
    said = [event["sentence"] for event in answer["events"] if event["sentence"]]
    for sentence in said or [otherwise if not answer["events"] else f"done; guard {answer['guard']['guard']}"]:
        say(unstarred(sentence))
