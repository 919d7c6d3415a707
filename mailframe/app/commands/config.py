"""``mailframe config check|show``."""

from __future__ import annotations

import click

from mailframe.app.commands.listing import Column, show
from mailframe.app.commands.shared import config_option, configuration, json_option


@click.group()
@config_option
def config() -> None:
    """Check or show the configuration."""


@config.command()
@config_option
@click.pass_context
def check(ctx: click.Context) -> None:
    """Exit status 0 when the server would start with it, 78 with every problem otherwise.

    Warns of what it would start with and was probably not meant."""
    from mailframe.app.config_warnings import warnings

    found = configuration(ctx, to_start=True)
    for key, text in warnings(found):
        click.echo(f"warning: {'.'.join(key)} {text}", err=True)
    click.echo("the configuration is fine")


@config.command("show")
@click.option("--changed", is_flag=True, help="Only what is not the default.")
@json_option
@config_option
@click.pass_context
def show_(ctx: click.Context, changed: bool, as_json: bool) -> None:
    """Show every setting as it is in force; passwords are not shown."""
    from mailframe.app.config_settings import Setting, settings_of

    columns: list[Column[Setting]] = [
        Column("SETTING", lambda setting: setting.key),
        Column("VALUE", lambda setting: setting.text),
        Column("", lambda setting: "" if setting.is_default else "set"),
    ]
    every = settings_of(configuration(ctx, code=True))
    found = [setting for setting in every if not (changed and setting.is_default)]
    show(
        found,
        columns,
        lambda setting: {
            "setting": setting.key,
            "value": setting.value,
            "default": setting.is_default,
        },
        as_json,
    )
