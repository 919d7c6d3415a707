"""On PYTHONPATH of a program that is compared: its handler has a bug while a file is there.

Opening its own database raises ZeroDivisionError then, as code of its own would. Nobody else's
databases are touched: mailframe's own are SQLite, too.
"""

from __future__ import annotations

import os
import sqlite3
from typing import Any

_connect = sqlite3.connect


def connect(database: Any, *rest: Any, **options: Any) -> Any:
    if str(database) == os.environ["ORDERS_DB"] and os.path.exists(os.environ["ORDERS_BUG"]):
        raise ZeroDivisionError("a bug of the application")
    return _connect(database, *rest, **options)


sqlite3.connect = connect
