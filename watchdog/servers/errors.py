"""The one error of this package."""


class ServerError(RuntimeError):
    """A server could not be fetched, prepared, started or stopped.

    The message names the server, the end of its log where there is one, and what to do.
    """
