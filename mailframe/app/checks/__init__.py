"""checks: what ``mailframe check`` looks at, one subject a file.

What lives here
    ``finding.Finding`` is one answer. ``storage``, ``listeners``, ``certificates``, ``people``,
    ``issuers``, ``applications``, ``relaying``, ``names``, ``sender`` and ``dkim`` each yield
    findings about their subject; ``run`` has them all.

May import
    Everything, as all of app.

Start reading at
    ``run``.

Invariants
    A check changes nothing that outlives it and sends no mail. Each finding has an id that
    stays the same from release to release, and, where something is wrong, one line that says
    what to do. A check that itself breaks is a finding too.

RFCs
    5321 (MX, postmaster), 7505 (null MX), 2142 (role addresses), 7208 (SPF), 6376 (DKIM), 9989
    and before it 7489 (DMARC).
"""
