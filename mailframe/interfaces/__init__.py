"""interfaces: every place where a part of the server can be replaced.

What lives here
    zope.interface contracts, one topic a file, at most seven methods each. Optional power is
    an optional interface: servers ask ``providedBy`` and advertise accordingly. Unless a
    docstring says otherwise a method may return a value, a Deferred, or be ``async def``.

May import
    core, errors, zope.interface, twisted.cred's credentials.

Start reading at
    ``auth`` (who are you), ``routing`` (whose address is it), ``spool`` (keep it durably),
    ``delivery`` (hand it on), ``mailbox`` and ``folders`` (hand it out), ``policy`` (may you),
    ``filtering`` (is it wanted).

Invariants
    Each docstring says who calls the method, when, and what a raised error becomes on the
    wire. Any error that is not a ``Failure`` is our bug: 451 4.3.0, never 5xx.

RFCs
    Named where an interface mirrors a protocol's notion.
"""

from mailframe.interfaces.accounts import (
    Entry,
    IAccountSource,
    IAnyDomain,
    IDomainSource,
    IPasswordSource,
    ITryableSource,
)
from mailframe.interfaces.auth import (
    BearerToken,
    IAuthenticator,
    IBearerToken,
    IMailAccount,
    IRecentFetches,
    IScramVerifiers,
    ITokenTerms,
    IVerifiedIdentity,
    TokenTerms,
    VerifiedIdentity,
)
from mailframe.interfaces.delivery import (
    Batch,
    Delivery,
    ICourier,
    IGroupCourier,
    IGroupStore,
    IMailStore,
    IPartedCourier,
    IRouter,
)
from mailframe.interfaces.dns import IResolver, MxHost
from mailframe.interfaces.filtering import Evidence, IFilter, Opinion
from mailframe.interfaces.folders import (
    IAccessControl,
    IAnnotations,
    IAppending,
    ICopying,
    IFolder,
    IFolderAccount,
    IFolderFacts,
    IFolderHeaders,
    IFolders,
    IQuotas,
    ISearching,
    IStatuses,
    IVanished,
)
from mailframe.interfaces.journal import IEventSink, IJournal, Step
from mailframe.interfaces.mailbox import (
    IMailbox,
    IMailboxEvents,
    IMessageSource,
    IReadsAhead,
    MessageInfo,
)
from mailframe.interfaces.outbox import IOutbox
from mailframe.interfaces.peers import IPeers
from mailframe.interfaces.policy import (
    IAcceptedPolicy,
    IAuthPolicy,
    IConnectPolicy,
    IContent,
    IDisconnectPolicy,
    IHeloPolicy,
    IMailPolicy,
    IMessagePolicy,
    IPolicy,
    IRecipientPolicy,
    IRefusedPolicy,
    IRelayPermission,
)
from mailframe.interfaces.routing import IRecipientResolver
from mailframe.interfaces.signing import ISigner
from mailframe.interfaces.spool import (
    Arrival,
    FiledContent,
    IFiledMessage,
    IIncoming,
    ISpool,
    IStoredMessage,
)
from mailframe.interfaces.tls import ITlsContexts
from mailframe.interfaces.work import IWorkers

__all__ = [
    "Arrival",
    "Batch",
    "BearerToken",
    "Delivery",
    "Entry",
    "Evidence",
    "FiledContent",
    "IAcceptedPolicy",
    "IAccessControl",
    "IAccountSource",
    "IAnnotations",
    "IAnyDomain",
    "IAppending",
    "IAuthPolicy",
    "IAuthenticator",
    "IBearerToken",
    "IConnectPolicy",
    "IContent",
    "ICopying",
    "ICourier",
    "IDisconnectPolicy",
    "IDomainSource",
    "IEventSink",
    "IFiledMessage",
    "IFilter",
    "IFolder",
    "IFolderAccount",
    "IFolderFacts",
    "IFolderHeaders",
    "IFolders",
    "IGroupCourier",
    "IGroupStore",
    "IHeloPolicy",
    "IIncoming",
    "IJournal",
    "IMailAccount",
    "IMailPolicy",
    "IMailStore",
    "IMailbox",
    "IMailboxEvents",
    "IMessagePolicy",
    "IMessageSource",
    "IOutbox",
    "IPartedCourier",
    "IPasswordSource",
    "IPeers",
    "IPolicy",
    "IQuotas",
    "IReadsAhead",
    "IRecentFetches",
    "IRecipientPolicy",
    "IRecipientResolver",
    "IRefusedPolicy",
    "IRelayPermission",
    "IResolver",
    "IRouter",
    "IScramVerifiers",
    "ISearching",
    "ISigner",
    "ISpool",
    "IStatuses",
    "IStoredMessage",
    "ITlsContexts",
    "ITokenTerms",
    "ITryableSource",
    "IVanished",
    "IVerifiedIdentity",
    "IWorkers",
    "MessageInfo",
    "MxHost",
    "Opinion",
    "Step",
    "TokenTerms",
    "VerifiedIdentity",
]
