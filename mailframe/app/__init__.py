"""app: the program. Configuration, wiring, start and stop, command line.

What lives here
    ``config`` reads and checks the TOML file (``config_*``); ``wiring`` builds every part from
    it and connects them; ``policies``, ``filtering``, ``reporting`` for what incoming mail is
    judged by; ``people``, ``stores`` and ``ways`` for who is here, where their mail is kept and
    how mail leaves; ``front`` (``front_*``) for what each listener serves, behind ``doors``;
    ``parts`` for what of all these a configuration needs imported. Accounts that others keep:
    ``sources_of_config`` makes of each ``[KIND.NAME]`` what is asked (``sources_of_*``,
    ``settings_of_ldap``; ``source_services`` is what they are given).
    Other people's code: ``extensions`` finds it by its names, ``applications`` has it run, version
    after version (``versions``, ``renewal``, ``modules``; ``watching`` for ``dev --reload``);
    ``newest`` is for what belongs to no session. ``plugin_origins`` and ``plugin_reports``: what
    ``mailframe plugins`` tells. ``scaffold`` writes packages to begin with.
    ``server`` binds, starts, reloads and stops it all; ``service`` is the process around it
    (``privileges``, ``exits``), under ``run``, which waits in our ``loop`` (``epoll``), or under
    twistd (``tap``); ``workers`` makes it several processes. ``cli`` and ``commands`` are
    ``mailframe``; ``control`` is how they speak to a running server, ``inquiry`` and ``routes``
    how they ask without one.
    ``metering`` and ``readiness`` are what monitoring is told. ``checks`` is ``mailframe check``;
    ``dns_records`` knows what a domain here should publish. ``backups``: what is in one.
    ``mailframe dev`` (``config_dev``): ``dev_parts`` connects its page (``dev_arrivals``,
    ``dev_errors``, ``dev_input``, ``dev_sending``) with the server.

May import
    Everything. Nobody imports app but ``mailframe.settings``, for authors of plug-ins, and what
    stands on top of it: simulation and testing.

Start reading at
    ``wiring`` and ``front``, then ``config_schema`` for the settings, then ``cli``.

Invariants
    A configuration with any problem starts nothing (exit status 78). Only here is the
    reactor imported and the wall clock read. ``mailframe --help`` imports no Twisted.

RFCs
    None; exit statuses are those of sysexits.h.
"""
