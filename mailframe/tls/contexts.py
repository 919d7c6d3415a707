"""``ITlsContexts``: the certificates of all listeners, and contexts for what we dial.

A server context is chosen by SNI, at the handshake, from whatever is loaded then. The files
are looked at every minute on a worker thread, read when they have changed, and swapped in as
a whole; connections that are open keep what they have. A new file that cannot be used is
logged once and the old certificate stays.
"""

from __future__ import annotations

from typing import Protocol

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
    IReactorTime,
)
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from mailframe.errors import LocalProtocolError
from mailframe.interfaces import ITlsContexts, IWorkers
from mailframe.runtime.aio import as_deferred
from mailframe.runtime.tls_clients import ClientCreator, client_context
from mailframe.tls.certificates import CertificateError, CertificateSet, ForName, Loaded


class CertificateSource(Protocol):
    def read(self, known: CertificateSet | None, for_name: ForName) -> CertificateSet: ...


@implementer(ITlsContexts, IOpenSSLServerConnectionCreator)
class TlsContexts:
    """
    source
        Where certificates come from; None: we offer no TLS.
    trust_file
        PEM file of the authorities that ``client(verify=True)`` trusts; empty: the system's.
    check_every
        Seconds between looks at the files.
    """

    log = Logger()

    def __init__(
        self,
        source: CertificateSource | None,
        workers: IWorkers,
        clock: IReactorTime,
        *,
        trust_file: str = "",
        check_every: float = 60.0,
    ) -> None:
        self._source = source
        self._workers = workers
        self._trust_file = trust_file
        self._check_every = check_every
        self._set: CertificateSet | None = None
        self._unchecked: SSL.Context | None = None
        self._checked: SSL.Context | None = None
        self._watch = LoopingCall(self.refresh)
        self._watch.clock = clock

    @property
    def can_serve(self) -> bool:
        return self._set is not None

    @property
    def certificates(self) -> tuple[Loaded, ...]:
        """What is being served, for ``mailframe check``."""
        return self._set.loaded if self._set is not None else ()

    def load(self) -> None:
        """Read the files for the first time; blocks. Raises CertificateError."""
        if self._source is not None:
            self._set = self._source.read(None, self._for_name)

    def start(self) -> None:
        """Begin to watch the files."""
        if self._source is not None:
            self._watch.start(self._check_every, now=False)

    def stop(self) -> None:
        if self._watch.running:
            self._watch.stop()

    def refresh(self) -> Deferred[None]:
        """Look at the files now; never fails."""
        return as_deferred(self._refresh())

    async def _refresh(self) -> None:
        if self._source is None:
            return
        try:
            found = await self._workers.run(self._source.read, self._set, self._for_name)
        except CertificateError as error:
            self.log.warn("certificates stay as they are: {error}", error=str(error))
        except Exception:  # noqa: BLE001 - a failed look must not end the watch
            self.log.failure("looking at the certificates failed")
        else:
            if found is not self._set:
                self._set = found
                names = sorted({name for one in found.loaded for name in one.names})
                self.log.info("certificates loaded for {names}", names=names)

    def server(self) -> IOpenSSLServerConnectionCreator:
        return self

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        if self._set is None:
            raise LocalProtocolError("TLS was offered without a certificate")
        return SSL.Connection(self._set.default.context, None)

    def client(self, host: str, verify: bool) -> IOpenSSLClientConnectionCreator:
        """Raises ValueError for ``verify`` and a host that no certificate can name."""
        return ClientCreator(self._client_context(verify), host, verify)

    def _client_context(self, verify: bool) -> SSL.Context:
        """Made at the first use: reading the system's authorities is not free."""
        if verify:
            if self._checked is None:
                self._checked = client_context(self._trust_file)
            return self._checked
        if self._unchecked is None:
            self._unchecked = client_context(None)
        return self._unchecked

    def _for_name(self, server_name: bytes | None) -> SSL.Context | None:
        """OpenSSL asks during a handshake; the answer is of the newest certificates."""
        return self._set.choose(server_name) if self._set is not None else None
