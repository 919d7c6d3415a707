"""core: the values that everything else speaks in.

What lives here
    Frozen values without behaviour beyond their own consistency. Standard library only.

    ========================  ==========================================================
    reverse-path              where bounces go (RFC 5321 section 4.1.2); ``None`` = ``<>``
    forward-path, recipient   one address that one message is for, with its DSN wishes
    envelope                  reverse-path, recipients and MAIL parameters of one message
    local-part, domain        the halves of an address
    session                   one connection of a peer, from greeting to goodbye
    transaction               MAIL .. end of DATA within a session
    MUA, MSA, MTA, MDA        user agent, submission, transfer, delivery (RFC 5598)
    spool                     durable storage of accepted messages
    queue                     the schedule over the spool: what is due, when to retry
    attempt                   one try to hand a batch of recipients to one next hop
    courier                   one way out: local, mx, smarthost, lmtp, pipe
    next hop                  the host (or mailbox) an attempt talks to
    deferred                  not done yet, will be tried again (never "bounced")
    bounce, failed            will not be tried again; the DSN that says so
    DSN                       delivery status notification (RFC 3464)
    mailbox, folder           where messages are; an account has an INBOX and others. IMAP's
                              word is mailbox; ours is folder where there may be many
    uid, UIDVALIDITY          a message's number in its folder, never another's while the
                              folder's UIDVALIDITY stays (RFC 9051 section 2.3.1.1)
    number                    where a message stands in what a client knows of the selected
                              folder (message sequence number, RFC 9051 section 2.3.1.2)
    flag, keyword             a mark of a message: ``\\Seen`` and its like; a word of a user's
    mod-sequence              a number that grows with every change of a folder (RFC 7162)
    mailbox id                of a folder; renames leave it (MAILBOXID, RFC 8474)
    special use               what a folder is for: ``\\Sent``, ``\\Junk`` ... (RFC 6154)
    rights                    what a user may do with a folder (RFC 4314)
    annotation                a note on a folder or a server (METADATA, RFC 5464)
    avatar, realm, checker    twisted.cred's words for a logged-in user, where users come
                              from, and what verifies them
    ========================  ==========================================================

May import
    The standard library.

Start reading at
    ``address``, then ``envelope``, then ``reply``; for IMAP ``folders``, then ``facts`` (what is
    known of a message) and ``search`` (what is asked of many).

Invariants
    Every value is immutable. A ``Reply`` cannot contradict itself: the class digit of the
    enhanced status is the code's first digit.

RFCs
    5321 (SMTP), 5322 (messages), 3463 and 5248 (enhanced status codes), 3461 (DSN), 6531
    (internationalised addresses), 5598 (architecture, words); 9051, 7162, 5256 (folders, IMAP).
"""
