"""Options that take several values after one name: ``--kspace a.h5 b.h5 --json``.

Click's options take a fixed number of values. Here the values that follow such an option, up to the
next one, are given to it one by one. Values may also be joined by commas.
"""

import typer
from typer.core import TyperCommand


def spreading(*names: str) -> type[TyperCommand]:
    """Return a command whose options of some names take several values.

    Parameters
    ----------
    names
        The options, such as ``--kspace``.
    """

    class Spreading(TyperCommand):
        """A command whose named options take all values up to the next option."""

        def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
            """Parse arguments after naming the option before each of its values."""
            return super().parse_args(ctx, spread(args, names))

    return Spreading


def spread(arguments: list[str], names: tuple[str, ...]) -> list[str]:
    """Return arguments with an option's name before each of the values that follow it."""
    found: list[str] = []
    name = None
    for argument in arguments:
        if argument.startswith("--"):
            name = argument if argument in names else None
            if name is None:
                found.append(argument)
        elif name is not None:
            found += [name, argument]
        else:
            found.append(argument)
    return found


def separated(values: list[str]) -> tuple[str, ...]:
    """Return values that may be joined by commas, one by one and each once."""
    parts = [part.strip() for value in values for part in value.split(",")]
    return tuple(dict.fromkeys(part for part in parts if part))
