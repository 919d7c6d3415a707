"""ldap: accounts in a directory server, OpenLDAP and Active Directory above all.

What lives here
    ``source``: the ``IPasswordSource``. ``settings`` has what it is told, ``presets`` what is
    usual where, ``templates`` the filters and names with placeholders. ``reading`` makes an
    ``Entry`` of what a directory says about somebody, ``active_directory`` knows the attributes
    and refusals of Microsoft's; ``lists`` follows the members of groups. Below: ``pool`` and
    ``servers`` (connections that are kept, and which server they lead to), ``connection`` (one,
    with time limits) and ``wire`` (LDAP as octets).

May import
    What ``mailframe.sources`` may. sansldap is imported here and by nobody else.

Start reading at
    ``source``, then ``pool``.

Invariants
    What a client sent becomes part of a filter or name as escaped octets only. No bind has an
    empty password. Referrals are not followed: credentials go to the servers that the
    configuration names. Two entries for one address are nobody. Each operation has a time limit,
    each answer a largest size, each list a largest number of members.

RFCs
    4511 (the protocol), 4513 (binds), 4514 (names as text), 4515 (filters as text), 2696 (pages).
"""
