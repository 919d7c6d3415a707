"""What a configuration names of other people's code: settings of plug-ins, and what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mailframe.app.config import load_config
from mailframe.app.config_settings import settings_of
from mailframe.errors import ConfigError
from tests.unit.app.packages import Packages, packages

__all__ = ["packages"]

MINIMAL = """\
hostname = "mail.example.test"
base = "state"
{top}
[listen.mx]
endpoint = "tcp:2525"
role = "mx"

{more}
"""
PLUGIN = """
from typing import Annotated, Literal
from mailframe import App
from mailframe.interfaces import ICourier, IFilter
from mailframe.settings import Checked, Duration, Many, Secret, Section, Size, between

def _even(value, place):
    if value % 2:
        raise ValueError("must be even")
    return value

class Inner(Section):
    size: Size = 5 << 20

class Settings(Section):
    token: Secret
    delay: Duration = 300
    colour: Literal["red", "green"] = "red"
    number: Annotated[int, between(1, 10), Checked(_even)] = 2
    lists: Many[str] = ()
    inner: Inner = Inner()

    def contradictions(self):
        if self.colour == "green" and self.number == 4:
            yield "number", "four is never green"

app = App(settings=Settings)
"""


class Site:
    def __init__(self, directory: Path) -> None:
        self.path = directory / "mailframe.toml"

    def config(
        self, more: str = "", top: str = "", environ: Mapping[str, str] | None = None, **how: Any
    ) -> Any:
        self.path.write_text(MINIMAL.format(top=top, more=more))
        return load_config(str(self.path), environ or {}, **{"to_start": True, **how})

    def problems(self, more: str = "", top: str = "", **how: Any) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            self.config(more, top, **how)
        return [f"{p.line or p.path} {p.key} {p.message}" for p in caught.value.problems]


@pytest.fixture
def site(tmp_path: Path, packages: Packages) -> Site:
    packages.plugin("fancy-mail", "ext_fancy", PLUGIN)
    return Site(tmp_path)


def test_settings_of_a_plugin_are_read_as_ours(site: Site) -> None:
    config = site.config(
        '[plugins.fancy-mail]\ntoken = "t0p"\ndelay = "2h"\nlists = ["a"]\n'
        'inner = { size = "1M" }\n'
    )
    settings = config.plugins["fancy-mail"].settings
    assert (settings.token.value, settings.delay, settings.number) == ("t0p", 7200, 2)
    assert (settings.lists, settings.inner.size) == (("a",), 1 << 20)


def test_every_problem_with_them_is_told_with_those_of_ours(site: Site) -> None:
    found = site.problems(
        "[plugins.fancy-mail]\n"
        "dellay = 5\n"
        'colour = "rad"\n'
        "number = 5\n"
        'inner = { size = "big" }\n'
        '[limits]\nhops = "x"\n'
    )
    assert found == [
        "8 plugins.fancy-mail.token is missing",
        "9 plugins.fancy-mail.dellay unknown key (did you mean delay?)",
        "10 plugins.fancy-mail.colour must be one of red, green (did you mean red?)",
        "11 plugins.fancy-mail.number must be even",
        "12 plugins.fancy-mail.inner.size 'big' is not a size (examples: 500M, 2G)",
        "14 limits.hops must be a whole number",
    ]


def test_what_cannot_be_together_in_it(site: Site) -> None:
    found = site.problems('[plugins.fancy-mail]\ntoken = "t"\ncolour = "green"\nnumber = 4\n')
    assert found == ["11 plugins.fancy-mail.number four is never green"]


def test_the_environment_sets_them_too(site: Site) -> None:
    environ = {"MAILFRAME_PLUGINS__FANCY_MAIL__NUMBER": "8"}
    config = site.config('[plugins.fancy-mail]\ntoken = "t"\n', environ=environ)
    assert config.plugins["fancy-mail"].settings.number == 8
    environ = {"MAILFRAME_PLUGINS__FANCY_MAIL__NUMBR": "8"}
    (found,) = site.problems('[plugins.fancy-mail]\ntoken = "t"\n', environ=environ)
    assert "is not a setting" in found
    assert "FANCY_MAIL__NUMBER?" in found or "number" in found.lower()


def test_they_are_shown_and_secrets_are_not(site: Site) -> None:
    config = site.config('[plugins.fancy-mail]\ntoken = "t0p"\n', to_start=False, code=True)
    shown = {each.key: each.text for each in settings_of(config)}
    assert shown["plugins.fancy-mail.enabled"] == "true"
    assert shown["plugins.fancy-mail.delay"] == '"5m"'
    assert shown["plugins.fancy-mail.inner.size"] == '"5M"'
    assert shown["plugins.fancy-mail.token"] == '"[hidden]"'
    assert not any("t0p" in text for text in shown.values())


def test_one_that_is_off_is_not_looked_at(site: Site, packages: Packages) -> None:
    packages.plugin("broken-mail", "ext_broken", "1 / 0\n")
    config = site.config("[plugins.broken-mail]\nenabled = false\nwhatever = 1\n")
    assert config.plugins["broken-mail"].settings is None
    (found,) = site.problems("[plugins.broken-mail]\n")
    assert "8 plugins.broken-mail" in found
    assert "ext_broken.py:1): ZeroDivisionError" in found


def test_one_that_is_not_installed(site: Site) -> None:
    (found,) = site.problems("[plugins.fancy-male]\n")
    assert found.startswith("8 plugins.fancy-male no plug-in of that name is installed")
    assert "did you mean fancy-mail?" in found
    assert site.config("[plugins.fancy-male]\nenabled = false\n").plugins


def test_commands_that_start_nothing_import_nothing(site: Site) -> None:
    config = site.config("[plugins.nobody]\nx = 1\n", top='apps = ["no.such:app"]', to_start=False)
    assert config.plugins["nobody"].settings is None
    assert config.apps == ("no.such:app",)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("app = 5", "is no mailframe.App, nor a function that makes one"),
        ("def app(): 1 / 0", "could not be made"),
        ("def app(): return 1", "is no mailframe.App"),
        ("from mailframe import App\napp = App(settings=dict)", "no mailframe.settings.Section"),
        (
            "from mailframe import App\nfrom mailframe.settings import Section\n"
            "class S(Section):\n    enabled: bool = True\napp = App(settings=S)",
            "may not have the setting enabled",
        ),
        (
            "from mailframe import App\nfrom mailframe.interfaces import ISpool\napp = App()\n"
            "app.provides(ISpool)(lambda: None)",
            "for which nobody asks it",
        ),
        (
            "from mailframe import App\nfrom mailframe.settings import *\n"
            "class S(Section):\n    def contradictions(self): 1 / 0\napp = App(settings=S)",
            "its settings cannot be checked: ZeroDivisionError",
        ),
    ],
)
def test_a_plugin_that_is_none(site: Site, packages: Packages, code: str, said: str) -> None:
    packages.plugin("odd-mail", "ext_odd", code)
    found = site.problems("[plugins.odd-mail]\n")
    assert len(found) == 1
    assert said in found[0]


def test_a_function_may_make_the_app(site: Site, packages: Packages) -> None:
    packages.plugin("made-mail", "ext_made", "from mailframe import App\ndef app(): return App()")
    assert site.config("[plugins.made-mail]\n").plugins["made-mail"].enabled


def test_names_that_lead_nowhere(site: Site, packages: Packages) -> None:
    packages.write("ext_parts.py", "number = 5\n")
    found = site.problems(
        '[policy]\norder = ["relay", "spv", "ext_parts:number", "fancy-mail"]\n'
        '[policy.content]\nfilter = "nothing"\n'
        '[routing]\nresolvers = ["nope", "ext_parts:absent"]\n'
        '[journal]\nsinks = ["no.such.module:Sink"]\n'
        '[routes]\n"a.test" = "fancy:x"\n"b.test" = "slack:x"\n'
        '[couriers.slack]\nclass = "ext_parts:number"\n'
        "[plugins.fancy-mail]\nenabled = false\n",
        top='apps = ["ext_parts:number"]',
    )
    said = "\n".join(found)
    assert "9 policy.order 'spv' is none of relay" in said
    assert "(did you mean spf?)" in said
    assert "policy.order the plug-in fancy-mail is off" in said
    assert "policy.order ext_parts:number provides no IPolicy, and makes none" in said
    assert "policy.content.filter 'nothing' is neither package.module:Name nor" in said
    assert "routing.resolvers 'nope' is neither" in said
    assert "routing.resolvers ext_parts:absent: the module ext_parts" in said
    assert "journal.sinks no.such.module:Sink: no module 'no'" in said
    assert "routes.\"a.test\" there is no courier 'fancy'" in said
    assert "couriers.slack.class ext_parts:number provides no ICourier" in said
    assert "3 apps ext_parts:number is no mailframe.App" in said
    assert "b.test" not in said


def test_a_courier_with_a_name_that_is_taken(site: Site) -> None:
    for name in ("smtp", "local", "app", "mx"):
        (found,) = site.problems(f'[couriers.{name}]\nclass = "a:b"\n')
        assert "is the name of a courier that is here already" in found


def test_options_of_a_courier(site: Site, packages: Packages) -> None:
    packages.write("ext_courier.py", "def make(**options): ...\n")
    config = site.config(
        '[couriers]\npipe_timeout = "1m"\n[couriers.slack]\nclass = "ext_courier:make"\n'
        'options = { url = "https://x.test", tries = 3, key = { env = "KEY" } }\n',
        environ={"KEY": "s3cret"},
    )
    courier = config.couriers.named["slack"]
    assert courier.arguments == {"url": "https://x.test", "tries": 3, "key": "s3cret"}
    shown = "\n".join(each.text for each in settings_of(config))
    assert "s3cret" not in shown
    (found,) = site.problems('[couriers]\npipe_timeot = "1m"\n')
    assert "unknown key (did you mean pipe_timeout?)" in found


def test_a_plugin_that_a_route_needs_must_bring_a_courier(site: Site) -> None:
    (found,) = site.problems(
        '[plugins.fancy-mail]\ntoken = "t"\n[routes]\n"a.test" = "fancy-mail:x"\n'
    )
    assert found == '11 routes."a.test" fancy-mail brings no ICourier'


def test_modules_beside_the_file_are_found(tmp_path: Path, site: Site) -> None:
    (tmp_path / "ext_beside.py").write_text("from mailframe import App\napp = App()\n")
    assert site.config(top='apps = ["ext_beside:app"]').apps == ("ext_beside:app",)


def test_applications_of_the_command_line_come_on_top(site: Site, packages: Packages) -> None:
    packages.write("ext_more.py", "from mailframe import App\napp = App()\nother = App()\n")
    config = site.config(top='apps = ["ext_more:app"]', apps=("ext_more:other", "ext_more:app"))
    assert config.apps == ("ext_more:app", "ext_more:other")
