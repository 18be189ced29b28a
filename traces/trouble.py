"""What is said when the user's input is wrong: one sentence with what, where and the cure."""


class BadInput(ValueError):
    """Input that cannot be used. Its text is one line: what is wrong, where (file, line, column), what to do.

    The command line prints it and exits with code 2; nothing half-done is left behind.
    """


def nearest(word: str, known: "list[str]") -> str:
    """Returns " Did you mean 'x'?" for the known name nearest to `word`, or the list of what there is."""
    import difflib

    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f" Did you mean '{close[0]}'?" if close else f" There are: {', '.join(sorted(known))}."
