"""What ``salmon start`` imports."""

import logging

from salmon import queue
from salmon.routing import Router
from salmon.server import Relay, SMTPReceiver

from config import settings

logging.basicConfig(level=logging.INFO)
settings.relay = Relay(**settings.relay_config)
settings.receiver = SMTPReceiver(**settings.receiver_config)
Router.defaults(**settings.router_defaults)
Router.load(settings.handlers)
Router.UNDELIVERABLE_QUEUE = queue.Queue("run/undeliverable")
