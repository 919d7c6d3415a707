"""spam: the filter that learns.

What lives here
    ``features`` (what a message is made of; ``features_header``, ``features_words`` ... read its
    parts), ``model`` (what was learnt, and what it says of a message; ``rehearsal`` keeps it from
    forgetting one kind while it is taught the other): all pure.
    ``filter`` (``IFilter``: judge, learn, forget, roll back), ``training_log`` (the log in
    ``spam.db``; ``schema``), ``models`` (in memory, in step with the log), ``scopes`` (whose
    training counts for whom), ``lessons`` (which message is it, without what we added),
    ``moves`` (people who move mail to and from Junk teach).

    A training is one commit, for all its scopes: after a crash it is there, once, or not at all.
    What may be on disk is in ``runtime.database_file``. A move to or from Junk is learnt after it
    was answered: a crash in between loses the lesson.

May import
    core, errors, message, interfaces, runtime, Twisted.

Start reading at
    ``filter``; of the classifier, at ``model``.

Invariants
    A model is a function of the log of its scope: what is in force, in the order it was
    taught. Snapshots save time and are never needed, but for the base, which takes the place of
    what the log had no room for. Nobody reads a scope that does not teach it. Nothing here can
    cost mail: who asks and gets an error goes on without an opinion.

RFCs
    5322, 2045, 2047 and 6154 (the Junk folder), through ``message`` and ``mailbox``.
"""
