"""The real process under fire: killed, stopped, starved and lied to by its disk, under load.

``letters`` are messages that can be recognised and whose octets can be proven. ``ledger`` holds
what clients were told, ``clients`` are who was told it, ``ground`` is a server with all its
protocols, a next hop and a name server, ``verdict`` compares the ledger with what there is,
``kills`` is the campaign. ``python -m tests.fire --kills 200 --seed 1`` runs it.
"""
