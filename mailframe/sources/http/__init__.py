"""Accounts that a web service knows: JSON over HTTPS.

Start reading at ``source``.
"""
