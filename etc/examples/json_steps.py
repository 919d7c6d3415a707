"""Every step of the journal as a line of JSON at the end of a file, for whatever reads logs:
``[journal] sinks = ["json_steps:JsonSteps"]``, with this file's directory on PYTHONPATH."""

import json

from twisted.internet.threads import deferToThread
from zope.interface import implementer

from mailframe.interfaces import IEventSink


@implementer(IEventSink)
class JsonSteps:
    name = "json-steps"

    def __init__(self, path="steps.jsonl", run=deferToThread):
        self.path, self.run = path, run

    async def hear(self, steps):  # what comes meanwhile waits for the next call
        lines = "".join(self.line(step) for step in steps)
        await self.run(self.write, lines)

    def line(self, step):
        known = {"time": step.time, "id": step.id, "step": step.step, "result": step.result}
        # Keys of a step's own come first, so that none of them hides one of these.
        return json.dumps({**step.detail, **known, "session": step.session}) + "\n"

    def write(self, lines):
        with open(self.path, "a", encoding="ascii") as file:
            file.write(lines)
