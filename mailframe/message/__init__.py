"""message: the text of a message: reading it, writing trace fields, converting it, reports.

What lives here
    ``headers`` (fields of a header section, on bytes), ``mailboxes`` (the one parser of From
    and its like), ``content_type`` (Content-Type and its parameters), ``structure`` (the MIME
    parts, as a stream), ``trace`` (Received, Return-Path, Delivered-To, dates), ``amend``
    (single fields changed or removed), ``downgrade`` (8-bit and binary to 7-bit for next hops
    that need it) with its ``encodings``, ``dsn``
    (delivery status notifications) with its ``dsn_fields`` and ``dsn_text``; for IMAP ``facts``
    (all that is worth keeping of a message, in one pass, with offsets) with its ``envelope``,
    ``bodystructure``, ``preview`` and ``imap_strings``, ``parts`` (the tree as octets),
    ``sections`` (BODY[...] and BINARY); ``charsets`` and ``encoded_words`` (octets as text);
    ``searchable`` (what a search looks at) and ``matching`` (whether it finds a message) with
    ``folding``, ``html_text``, ``address_texts``, ``subjects`` and ``sent_date``; ``threading``;
    ``body_parts`` (the leaves of a message, for whoever reads it); ``field_writing`` and
    ``composing`` (new messages).

May import
    core, errors and the standard library.

Start reading at
    ``headers``, then ``trace``, then ``downgrade``; for IMAP ``facts``, then ``searchable``.

Invariants
    Readers work on bytes as they came, never raise on any input, take linear time, and never
    decode what they only pass on. ``mailboxes`` is the exception: it refuses what it cannot
    parse completely, because what it says is checked and then acted on. Writers put nothing
    of a peer into a field without taking CR, LF, NUL and other control characters out.
    Everything here is synchronous and blocks: large content belongs on a worker.

RFCs
    5322, 6532, 6854 (messages), 5321 section 4.4, 3848, 6531 section 4.3 (trace fields),
    2045, 2046, 2047, 2183, 2231 (MIME), 3516, 5256, 8474, 8970, 9051 section 7.5.2 (for IMAP),
    6152 section 3, 3030 section 3 (conversion), 3461 to 3464 (DSN).
"""
