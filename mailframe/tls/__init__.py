"""tls: certificates for those who connect to us, contexts for those we connect to.

What lives here
    ``certificates`` (PEM files to OpenSSL contexts, by name), ``contexts`` (``ITlsContexts``:
    choice by SNI, reloading), ``self_signed`` (for ``mailframe dev``). Our side of a connection
    that we made is ``runtime.tls_clients``, for every client that there is.

May import
    core, errors, interfaces, runtime, Twisted, pyOpenSSL, cryptography, service_identity, idna.

Start reading at
    ``contexts``.

Invariants
    Nothing below TLS 1.2; as clients no DHE, whose numbers the server chooses. Contexts are
    made by ``CertificateOptions``, which releases idle buffers: 26 KB a connection where a bare
    context costs 47. A certificate that cannot be read never replaces one that works.

RFCs
    8446 (TLS 1.3), 6066 section 3 (SNI), 6125 and 9525 (whose certificate is it), 7435
    (opportunistic security), 5077 (tickets), 8314 (TLS for mail).
"""
