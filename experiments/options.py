"""A command's options, defined once: a frozen dataclass of arguments serves the command line and Python alike."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable
from dataclasses import MISSING, Field, field, fields
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import click

A = TypeVar("A")
SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


def option(default: Any = MISSING, *, help: str, flag: str | None = None, metavar: str | None = None) -> Any:  # noqa: A002
    """A field of a dataclass of arguments that is an option of its command.

    Args:
        default: the value where none is given; without one the option must be given.
        help: what it is, with its unit.
        flag: its name on the command line, where the field's own (`restart_cost` is `--restart-cost`) will not do; a
            word without dashes makes it the command's argument.
        metavar: what stands for its value in the help.
    """
    return field(default=default, metadata={"help": help, "flag": flag, "metavar": metavar})


def command_of(arguments: type[A], run: Callable[[A], int | None], *, examples: str) -> click.Command:
    """Makes the command that calls `run` with one of `arguments`; its help is their docstring, then the examples.

    Fields may be str, int, float, bool, Path, Literal, those or None, and tuple[str, ...] (an option to be repeated).
    """

    def callback(**values: Any) -> int | None:
        return run(arguments(**values))

    told = (inspect.getdoc(arguments) or "").strip()
    shown = "\n".join(f"  {line.strip()}" for line in examples.strip().splitlines())
    return click.Command(
        None,
        callback=callback,
        params=_params(arguments),
        help=f"{told}\n\n\b\nExamples:\n{shown}",
        context_settings=SETTINGS,
    )


def spoken(name: str, arguments: object) -> str:
    """The command line that means these arguments, defaults left out."""
    words = ["gpuyard", name]
    for one in fields(arguments):  # type: ignore[arg-type]
        value = getattr(arguments, one.name)
        if value == one.default:
            continue
        for each in value if isinstance(value, tuple) else (value,):
            words += [_flag(one)] if isinstance(each, bool) else [_flag(one), str(each)]
    return shlex.join(words)


def _params(arguments: type) -> list[click.Parameter]:
    hints = get_type_hints(arguments)
    return [_param(one, hints[one.name]) for one in fields(arguments)]


def _param(one: Field[Any], hint: Any) -> click.Parameter:
    repeated = get_origin(hint) is tuple
    needed = one.default is MISSING
    default: dict[str, Any] = {} if needed else {"default": one.default}
    kind = _plain(get_args(hint)[0] if repeated else hint)
    if not _flag(one).startswith("-"):
        return click.Argument([one.name], type=_type(kind), metavar=_flag(one))
    return click.Option(
        [_flag(one), one.name],
        type=None if kind is bool else _type(kind),
        is_flag=kind is bool,
        multiple=repeated,
        required=needed,
        show_default=not needed and not isinstance(one.default, bool | tuple | None),
        help=one.metadata["help"],
        metavar=one.metadata["metavar"],
        **default,
    )


def _flag(one: Field[Any]) -> str:
    return one.metadata["flag"] or "--" + one.name.replace("_", "-")


def _plain(hint: Any) -> Any:
    """`X` of `X | None`."""
    if get_origin(hint) in (Union, UnionType):
        return next(part for part in get_args(hint) if part is not type(None))
    return hint


def _type(kind: Any) -> click.ParamType[Any]:
    if get_origin(kind) is Literal:
        return click.Choice(get_args(kind))
    if kind is Path:
        return click.Path(path_type=Path)
    return {str: click.STRING, int: click.INT, float: click.FLOAT}[kind]
