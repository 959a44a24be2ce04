"""What goes wrong with data, and without them."""

__all__ = ["DataError", "NotFittedError"]


class DataError(ValueError):
    r"""Bad input data, told in one line: where it is, what was found, and the cure.

    Example:
        >>> print(DataError("column 'y' is absent:\n  name it with target"))
        column 'y' is absent: name it with target
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class NotFittedError(ValueError):
    """A forecast was asked of a forecaster that has not seen data."""
