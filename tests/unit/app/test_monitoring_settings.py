"""Listeners with the role ``http``, and ``[metrics]``."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailframe.app.config import load_config
from mailframe.app.config_schema import Config
from mailframe.errors import ConfigError

TEXT = """
hostname = "mail.example.test"
base = "state"
{top}
[listen.mx]
endpoint = "tcp:2525"
role = "mx"
[listen.monitoring]
endpoint = "tcp:9780"
role = "http"
{listener}
{more}
"""
TLS = '[tls]\ncertificate = "c.pem"'


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "c.pem").touch()
    return tmp_path


def load(directory: Path, listener: str = "", more: str = "") -> Config:
    file = directory / "mailframe.toml"
    file.write_text(TEXT.format(top="", listener=listener, more=more))
    return load_config(str(file), {})


def test_http_is_plain_unless_told_otherwise(directory: Path) -> None:
    config = load(directory, more=TLS)
    assert config.tls_mode(config.listen["monitoring"]) == "none"
    assert config.tls_mode(config.listen["mx"]) == "starttls"
    config = load(directory, 'tls = "implicit"', TLS)
    assert config.tls_mode(config.listen["monitoring"]) == "implicit"


def test_http_has_no_starttls(directory: Path) -> None:
    with pytest.raises(ConfigError, match="HTTP has no STARTTLS"):
        load(directory, 'tls = "starttls"', TLS)


def test_https_needs_a_certificate(directory: Path) -> None:
    with pytest.raises(ConfigError, match="needs a certificate"):
        load(directory, 'tls = "implicit"')


def test_only_this_machine_may_ask(directory: Path) -> None:
    assert load(directory).metrics.networks == ("127.0.0.1/32", "::1/128")


def test_a_network_that_means_less_than_it_says(directory: Path) -> None:
    with pytest.raises(ConfigError, match=r"metrics\.networks"):
        load(directory, more='[metrics]\nnetworks = ["192.0.2.1/24"]')
