"""The one error that bad input data raises."""

__all__ = ["DataError"]


class DataError(ValueError):
    r"""Bad input data, told in one line: where it is, what was found, and the cure.

    Example:
        >>> print(DataError("column 'y' is absent:\n  name it with target"))
        column 'y' is absent: name it with target
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
