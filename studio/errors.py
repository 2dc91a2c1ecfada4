"""The one exception type that the command line and the page show to a person."""


class StudioError(Exception):
    """Something the user can understand and act on.

    The message is one sentence (two at most) that says what is wrong and what to do. It is shown as it is, without a
    traceback: on the page as a warning, on the command line as one line on stderr with exit code 1. Everything that is
    *not* a ``StudioError`` is a bug and keeps its traceback in the log.
    """

    def __init__(self, message: str) -> None:
        # One line always: the command line promises it, and exception texts of libraries often are not.
        super().__init__(" ".join(message.split()))
