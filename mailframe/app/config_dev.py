"""The configuration of ``mailframe dev``: everything on 127.0.0.1, no limit that a test meets."""

from __future__ import annotations

from mailframe.app.config_schema import Config


def dev_config(base: str, *, smtp: int, pop3: int) -> Config:
    """``smtp`` and ``pop3`` are ports, 0 for any free one."""
    return Config.model_validate(
        {
            "hostname": "localhost",
            "base": base,
            "auth": {"allow_plaintext": True},
            "listen": {
                "smtp": {"endpoint": f"tcp:{smtp}:interface=127.0.0.1", "role": "mx"},
                "pop3": {"endpoint": f"tcp:{pop3}:interface=127.0.0.1", "role": "pop3"},
            },
            "limits": {
                "connections_per_ip": 0,
                "messages_per_hour_per_user": 0,
                "tarpit": "0s",
            },
        }
    )
