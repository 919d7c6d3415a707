"""Accounts in a database, by query templates.

Start reading at ``source``; ``template`` is the language of the queries, ``postgres`` and
``sqlite`` are the two engines.
"""
