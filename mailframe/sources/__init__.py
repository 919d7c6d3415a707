"""sources: accounts that others keep, asked over the network or on this machine.

What lives here
    One ``IPasswordSource`` (or credentials checker) a kind of place: ``sql`` (a database, by query
    templates), ``http`` (a web service that speaks JSON), ``pam`` (the accounts of this machine),
    ``ldap`` (a directory server, Active Directory too), ``oauth`` (tokens of an issuer). Around
    any of them ``cached``: what it answered is remembered for a while, used longer where it is
    down, and asked once where many want it at the same time.

    What they are made of: ``rotation`` (which of several servers is asked), ``timed_calls`` (calls
    that block, so many at once), ``flights`` (the same question asked once at a time), ``fields``
    (what a database or a service says, made into an ``Entry``).

    Who comes first, where forwarding leads and what a role name means is decided by
    ``mailframe.accounts``, which knows sources by their interface only.

May import
    core, errors, protocols, message, mailauth, interfaces, runtime, third parties. No other
    service: not ``accounts`` either. Optional libraries are imported by the module that needs
    them, and that module only where the configuration asks for it.

Start reading at
    ``mailframe.interfaces.accounts``, then ``cached``, then the source of your choice.

Invariants
    A source that cannot be asked is a TransientFailure, whatever went wrong with it; it never says
    that somebody does not exist because it could not look. What a client sent is a parameter,
    never part of a query, a path or a command. Nothing blocks the reactor, and each question has
    a time limit. A password is kept nowhere; what proves later that it was right is a keyed hash
    under a key of this process. An empty password is never asked about.

RFCs
    4511 and 4513 to 4516 (LDAP), 6749, 7519, 7628, 7662 and 8414 (OAuth), 9110 and 8259 (HTTP
    and JSON).
"""
