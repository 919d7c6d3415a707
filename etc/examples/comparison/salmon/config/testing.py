"""The same for tests, which read what would be sent in ``relay.sent``."""

from salmon.routing import Router

from config import settings


class Outbox:
    def __init__(self):
        self.sent = []

    def reply(self, original, From, Subject, Body):
        self.sent.append((original.From, Body))


settings.relay = Outbox()
Router.defaults(**settings.router_defaults)
Router.load(settings.handlers)
Router.LOG_EXCEPTIONS = False
