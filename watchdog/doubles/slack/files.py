"""Uploading files: files.getUploadURLExternal, the upload itself, files.completeUploadExternal."""

from watchdog.doubles.slack.args import Args
from watchdog.doubles.slack.context import Context
from watchdog.doubles.slack.errors import NotThereError, SlackError, invalid_arguments
from watchdog.doubles.slack.lookup import joined
from watchdog.doubles.slack.render import file_json
from watchdog.doubles.slack.state import BOT_USER, File, Json, Workspace, made_id

MAX_BYTES = 16 * 1024 * 1024


def get_upload_url(context: Context, args: Args) -> Json:
    """files.getUploadURLExternal."""
    name = args.text("filename")
    length = args.number("length", 0, MAX_BYTES)
    if length == 0:
        raise invalid_arguments("missing required field: length")
    file = File(made_id("F", f"{name} {context.workspace.serial()}"), name, length)
    context.workspace.files[file.id] = file
    return {"upload_url": f"{context.page_url}upload/{file.id}", "file_id": file.id}


def receive(workspace: Workspace, file_id: str, content: bytes) -> None:
    """Take an upload's bytes.

    Raises:
        NotThereError: no upload was announced under this id.
    """
    file = workspace.files.get(file_id)
    if file is None:
        raise NotThereError(f"no upload {file_id!r} was announced")
    file.content = content
    file.length = len(content)


def complete_upload(context: Context, args: Args) -> Json:
    """files.completeUploadExternal: shares the files in a channel when one is given."""
    files = [_finished(context, item) for item in args.listing("files", "invalid_arguments") or []]
    if not files:
        raise SlackError("invalid_arguments")
    named = args.optional("channel_id") or args.optional("channels")
    for channel_id in (named or "").split(","):
        if channel_id:
            channel = context.workspace.channels.get(channel_id)
            if channel is None:
                raise SlackError("channel_not_found")
            context.workspace.post(
                joined(channel),
                BOT_USER,
                args.optional("initial_comment") or "",
                thread_ts=args.optional("thread_ts"),
                files=[file.id for file in files],
            )
    return {"files": [file_json(file) for file in files]}


def _finished(context: Context, item: Json) -> File:
    file = context.workspace.files.get(str(item.get("id")))
    if file is None or file.content is None:
        raise SlackError("file_not_found")
    file.title = str(item.get("title") or file.name)
    return file
