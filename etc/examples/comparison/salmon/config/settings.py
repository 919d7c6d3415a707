import os

_host, _, _port = os.environ.get("ORDERS_RELAY", "127.0.0.1:2526").partition(":")
relay_config = {"host": _host, "port": int(_port)}
receiver_config = {"host": "127.0.0.1", "port": int(os.environ.get("ORDERS_PORT", "2525"))}
handlers = ["app.handlers.orders"]
router_defaults = {"host": "shop\\.test"}
relay = None
receiver = None
