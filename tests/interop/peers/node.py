"""Programs and libraries for Node.js."""

from __future__ import annotations

import os

from tests.interop.peers.process import need, run


def node_modules() -> str:
    """Where packages from npm lie: ``MAILFRAME_NODE_MODULES``, or where ``npm install -g`` puts
    them. Skips the test where there is no Node.js."""
    need("node")
    if path := os.environ.get("MAILFRAME_NODE_MODULES"):
        return path
    need("npm")
    return run(["npm", "root", "-g"]).stdout.strip()
