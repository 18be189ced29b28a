"""Placeholder."""


def kind(name):  # type: ignore
    return None
