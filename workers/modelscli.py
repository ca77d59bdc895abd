"""The command ``models``: what looks after models."""

import typer

from pipeline.cli import app

models = typer.Typer(no_args_is_help=True, help="Look after models.")
app.add_typer(models, name="models")


@models.callback()
def root() -> None:
    """Look after models."""
