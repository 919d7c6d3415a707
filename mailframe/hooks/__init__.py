"""hooks: applications of ten lines, and how the server runs them.

What lives here
    ``app.App`` collects decorated functions; ``hook`` is one of them with all that is known of it;
    ``patterns`` are the addresses it is for; ``verdicts`` is what it may answer. The rest puts them
    where the server asks: ``calling`` runs one within its limits, ``policies`` and ``filters``
    before the 250, ``accounts`` at RCPT, ``courier`` after the commit, ``events`` and ``calendar``
    when something happened or its time has come. ``mail`` is the message as they see it,
    ``replies`` what they send.

May import
    core, errors, protocols, message, interfaces, runtime, zope.interface, cronsim.

Start reading at
    ``app``, then ``calling``.

Invariants
    An application's mistake never loses or bounces mail: before the 250 it is 451, after it the
    message waits. No hook is waited for longer than its limit. A session asks one version of an
    application from its greeting to its end.

RFCs
    3834 (automatic answers), 5322 (what is sent).
"""
