"""The error of an input that the state does not allow."""


class RefusedError(ValueError):
    """A person or a pipeline asked for something that the state does not allow; the text says why."""
