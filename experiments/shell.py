"""How commands end: bad input is one line on stderr and exit code 2, an interrupt is exit code 130."""

from __future__ import annotations

import sys

import click

from ..traces.trouble import BadInput


def ended(command: click.Command) -> None:
    """Runs a command to its end, and leaves with its exit code."""
    try:
        code = command.main(standalone_mode=False)
    except BadInput as error:
        complain(str(error), 2)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.UsageError as error:
        hint = f" See '{error.ctx.command_path} --help'." if error.ctx else ""
        complain(error.format_message() + hint, 2)
    except click.ClickException as error:
        complain(error.format_message(), 2)
    except (MemoryError, OverflowError) as error:
        complain(f"numbers too large for this machine ({error or 'out of memory'}); ask for less, or mend the input", 2)
    except (click.Abort, KeyboardInterrupt):
        complain("interrupted", 130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    else:
        sys.exit(code if isinstance(code, int) else 0)


def complain(text: str, code: int) -> None:
    """Prints one line on stderr and leaves."""
    click.echo(f"gpuyard: {' '.join(text.split())}", err=True)
    sys.exit(code)
