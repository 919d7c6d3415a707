"""hooks: applications of ten lines, and how the server runs them.

What lives here
    What an application is: ``app.App`` collects decorated functions; ``hook`` is one of them with
    all that is known of it; ``patterns`` are the addresses it is for; ``verdicts`` is what it may
    answer; ``server`` what it can reach.

    Running it: ``running`` is one version of all applications. ``live`` is a hook that runs and
    ``calling`` calls it within its limits; ``room`` is why none of it can fill memory or threads.
    ``policies``, ``filters`` and ``before_ack`` come before the 250 (``judging``: what they have
    said in a session), ``accounts`` at RCPT, ``courier`` after the commit (``answered``: what was
    decided before it, carried out there), ``events`` and ``calendar`` (``schedules``) when
    something happened or its time has come. ``addresses`` finds the hook that an address is for.

    The message as they see it: ``mail``, with ``header_fields`` and ``attachments`` (``once``,
    ``clean_text``); ``arrival`` is how it came, ``reading`` has it read once for all of them. What
    they send: ``replies`` writes it, of ``drafts``; ``automatic`` says what may not be answered;
    ``outgoing`` keeps it until the hook has succeeded.

May import
    core, errors, protocols, message, mailauth, interfaces, runtime, Twisted, zope.interface, idna,
    cronsim.

Start reading at
    ``app``, then ``running``, then ``calling``.

Invariants
    An application's mistake never loses or bounces mail: before the 250 it is 451, after it the
    message waits. No hook is waited for longer than its limit. A session asks one version of an
    application from its greeting to its end.

RFCs
    3834 (automatic answers), 5322 (what is sent).
"""
