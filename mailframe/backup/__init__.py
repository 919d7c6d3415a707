"""backup: sets of files that stand beside the server, complete or not there at all.

What lives here
    ``sets`` (the directory that holds them: names, lock, pruning), ``manifest`` (what a set
    says of itself), ``writing`` (making one), ``checking`` (is it what it says?), ``placing``
    (out of a set into an empty base; ``unfinished``: was that cut off?), ``files`` (linking,
    copying and walking). What of a base is copied how, and in which order, is told by
    ``app.backups``: it needs to know the services.

    ::

        DIR/lock                               held while a set is made or removed
        DIR/2026-11-25T22-40-00Z/manifest      every file with size, mode and SHA-256
                                /base/...      as below the server's base directory
                                /config/...    the configuration file
        DIR/2026-11-25T23-10-02Z.partial/...   of a run that was cut off; the next removes it

    ===  ============================  ==========  ===================================
    no.  on disk                       manifest    what it is
    ===  ============================  ==========  ===================================
    B0   no set                                    nothing happened
    B1   NAME.partial                  none        litter: swept by the next run
    B2   NAME.partial                  there       litter: swept by the next run
    B3   NAME                          there       a backup; its files were synced before
    ===  ============================  ==========  ===================================

    The instant of commitment is the rename of ``NAME.partial`` to ``NAME``, which is synced
    before anybody is told. Removing a set goes the other way round: renamed first.

May import
    core, errors, message, interfaces, runtime.

Start reading at
    ``sets``, then ``writing``.

Invariants
    A name without ``.partial`` is complete and synced. Files that never change once they are
    there (messages) are linked, all others are copied: nothing that the server writes later
    can reach into a set. A set needs no other set: pruning removes names, not content.

RFCs
    None.
"""
