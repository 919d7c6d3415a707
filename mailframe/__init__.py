"""mailframe: a mail server that you can program.

The house, bottom to top (``tests/test_layers.py`` holds it)::

    0  core         frozen values of the field: Address, Envelope, Reply, DeliveryReport
    1  protocols    sans-I/O engines: SMTP server and client, LMTP, POP3, IMAP, SASL
       message      RFC 5322 and MIME reading, what IMAP asks of a message, trace headers, DSN
                    building, 8-bit conversion
    2  interfaces   zope.interface contracts: every place where a part can be replaced
       runtime      what services lean on: threads, the disk seam, databases, tasks
       mailauth     SPF, DKIM, DMARC, ARC and Authentication-Results over a resolver
    3  accounts  mailbox  queue  delivery  policy  dns  tls  journal  spam  scanners  reports
       backup  metrics                                                   the services
       testing      simulated disk, network and machine; the crash explorer
    4  servers  web     thin Twisted shells: transport <-> engine <-> interfaces
    5  app          configuration, wiring, command line, twistd plugin
       simulation   whole networks of servers in one thread, and the oracle of their promises
       bench        load for any mail server, measured; without Twisted

Start reading at ``mailframe.app.wiring``: it builds every part and connects them.
"""

__version__ = "0.1.0"
