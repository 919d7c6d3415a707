"""scaffold: packages that ``mailframe new`` writes, to begin with.

What lives here
    ``package`` writes one; ``texts`` has what is in it, for each kind.

May import
    The standard library, and the version of mailframe.

Start reading at
    ``package``.

Invariants
    Nothing that is there is overwritten. What is written can be installed, and its test passes
    as it stands (``tests/interop/test_new_packages.py``).

RFCs
    None.
"""
