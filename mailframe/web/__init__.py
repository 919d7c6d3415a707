"""web: what is asked for by HTTP: monitoring, and the inbox of ``mailframe dev``.

What lives here
    ``monitoring`` is ``/metrics``, ``/livez`` and ``/readyz`` of a listener with the role
    ``http``. ``inbox.InboxSite`` shows a developer what arrived: who may ask, and which page
    answers. ``pages`` is what people see, ``api`` what tests ask, with the routes and members of
    Mailpit (``mailpit_json``, ``composing``); both find messages by ``finding``, ``search`` and
    the ``catalogue``, which makes one message of the copies of all recipients. ``summaries`` and
    ``reading`` take a message apart, ``html`` looks for links and images; ``words`` makes text of
    octets in any charset; ``faults`` are the errors that somebody asked for; ``powers`` is what
    the site is given beside the mail. ``safety`` is the headers that keep a hostile message
    harmless, and ``exchange`` how requests are read.

May import
    core, errors, protocols, message, interfaces, runtime, twisted.web, Jinja2.

Start reading at
    ``monitoring``; ``inbox``, then ``safety``.

Invariants
    Everything a message says is escaped or sandboxed; no page makes the browser load
    anything from elsewhere. No message, however broken, is an error page: its source can
    always be seen. Pages work without JavaScript.

RFCs
    9110, 9112 (HTTP, by Twisted)
    5322, 2045 to 2047, 2231 (what is shown), 6266 (names of downloads).
"""
