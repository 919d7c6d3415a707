"""``mailframe new``."""

from __future__ import annotations

import os

import click

from mailframe.app import exits


@click.command()
@click.argument("kind", type=click.Choice(["project", "realm", "policy"]))
@click.argument("name")
@click.option(
    "--in",
    "parent",
    metavar="DIRECTORY",
    type=click.Path(exists=True, file_okay=False),
    default=".",
    help="Where; default: here.",
)
def new(kind: str, name: str, parent: str) -> None:
    """Write a package to begin with: pyproject.toml, code, a test that passes, README.

    \b
    project  an application: hooks of an App, settings, installed as a plug-in
    realm    users, passwords and addresses of your own
    policy   refuses or marks mail, at a place of your choice

    What is there is never overwritten.
    """
    from mailframe.app.scaffold.package import write_package

    try:
        written = write_package(kind, name, parent)
    except ValueError as error:
        raise exits.CommandFailed(str(error), exits.DATA) from error
    except FileExistsError as error:
        path = os.path.join(parent, name)
        raise exits.CommandFailed(f"{path} is there already", exits.CANNOT_CREATE) from error
    except OSError as error:
        raise exits.CommandFailed(f"cannot write: {error}", exits.CANNOT_CREATE) from error
    for path in written:
        click.echo(os.path.relpath(path))
    directory = os.path.relpath(os.path.join(parent, name))
    click.echo(f"\nnext: cd {directory}; pip install -e '.[test]'; pytest")
