"""What is said when the user's input is wrong: one sentence with what, where and the cure."""

from collections.abc import Iterator
from contextlib import contextmanager


class BadInput(ValueError):
    """Input that cannot be used. Its text is one line: what is wrong, where (file, line, column), what to do.

    The command line prints it and exits with code 2; nothing half-done is left behind.
    """


@contextmanager
def within(where: str) -> Iterator[None]:
    """Has what is said of bad input begin with where it stands: `with within("laws.failures.recorded"): ...`."""
    try:
        yield
    except BadInput as error:
        raise BadInput(f"{where}: {error}") from None


def nearest(word: str, known: "list[str]", cutoff: float = 0.5) -> str:
    """Returns " Did you mean 'x'?" for the known name nearest to `word`, or the list of what there is.

    How near is near enough is `difflib`'s ratio, 1 for equal words.
    """
    import difflib

    close = difflib.get_close_matches(word, known, n=1, cutoff=cutoff)
    return f" Did you mean '{close[0]}'?" if close else f" There are: {', '.join(sorted(known))}."
