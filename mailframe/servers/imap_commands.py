"""Every command and the function that serves it; and what may be told when it is done.

The table is the only way from a command to what is done for it. A command that asks for the
progress of others' changes in the selected folder gets them before its tagged response: all of
them, but for the commands of ``_NO_EXPUNGE``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from mailframe.protocols.imap import commands as c
from mailframe.servers import (
    imap_access,
    imap_annotations,
    imap_append,
    imap_copy,
    imap_expunge,
    imap_fetch,
    imap_folders,
    imap_listing,
    imap_notify,
    imap_quota,
    imap_search,
    imap_selecting,
    imap_session,
    imap_sort,
    imap_store,
)
from mailframe.servers.imap_conversation import Appender, Conversation
from mailframe.servers.imap_outcome import Outcome

Serve = Callable[[Conversation, Any], Awaitable[Outcome]]

TABLE: dict[type[Any], Serve] = {
    # any state; CAPABILITY is the engine's own
    c.Noop: imap_session.noop,
    c.Logout: imap_session.logout,
    c.Id: imap_session.identify,
    c.Enable: imap_session.enable,
    c.Compress: imap_session.compress,
    c.Unauthenticate: imap_session.unauthenticate,
    c.Namespace: imap_session.namespace,
    # folders
    c.Select: imap_selecting.select,
    c.Close: imap_selecting.close,
    c.Check: imap_session.noop,
    c.Create: imap_folders.create,
    c.Delete: imap_folders.delete,
    c.Rename: imap_folders.rename,
    c.Subscribe: imap_folders.subscribe,
    c.Status: imap_folders.status,
    c.List: imap_listing.list_folders,
    # quota, access, annotations
    c.GetQuota: imap_quota.get_quota,
    c.GetQuotaRoot: imap_quota.get_quota_root,
    c.SetQuota: imap_quota.set_quota,
    c.GetAcl: imap_access.get_acl,
    c.SetAcl: imap_access.set_acl,
    c.DeleteAcl: imap_access.delete_acl,
    c.ListRights: imap_access.list_rights,
    c.MyRights: imap_access.my_rights,
    c.GetMetadata: imap_annotations.get_metadata,
    c.SetMetadata: imap_annotations.set_metadata,
    # within a folder
    c.Fetch: imap_fetch.fetch,
    c.Store: imap_store.store,
    c.Copy: imap_copy.copy,
    c.Expunge: imap_expunge.expunge,
    c.Search: imap_search.search,
    c.Sort: imap_sort.sort,
    c.Thread: imap_sort.thread,
    c.CancelUpdate: imap_search.cancel_update,
    # being told; IDLE is the conversation's own
    c.Notify: imap_notify.notify,
}

# RFC 9051 section 7.5.1 and RFC 5256 section 3: unless uids were given, the client reads the
# numbers in the response as they were when it asked.
_NO_EXPUNGE = (c.Fetch, c.Store, c.Search, c.Sort, c.Thread)


class _Table:
    """``TABLE``, as a conversation wants it."""

    async def serve(self, talk: Conversation, command: c.Command) -> Outcome:
        return await TABLE[type(command)](talk, command)

    def expunges_after(self, command: c.Command) -> bool:
        return not isinstance(command, _NO_EXPUNGE) or command.uid

    def appender(self, talk: Conversation) -> Appender:
        return imap_append.Appending(talk)


COMMANDS = _Table()
