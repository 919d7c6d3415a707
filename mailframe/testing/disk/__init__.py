"""testing.disk: a disk in memory that can lose its power, fill up, fail, and be slow.

``SimDisk`` is a ``runtime.disk.Disk``; SQLite's files are on it too, through a VFS. Every change
is recorded (``trace``). ``crash_states`` gives the states in which a power cut may leave it.

The model of durability. It is weaker than what file systems of today keep, so that what holds
here does not hang on one of them:

- Only what was synced is there for sure. Writes of no sync: any subset of them, and of each
  write any subset of its sectors of 512 octets; octets beside the write are not harmed.
- A file may have its new length, and zeros where the content did not arrive.
- ``DiskFile.sync`` makes a file's content, length and time durable, not its name.
- ``sync_directory`` makes the entries of that directory durable, not what they name, and not
  the directory's own name: a directory whose entry was lost is missing with all in it.
- Entry operations (create, rename, link, unlink, mkdir, rmdir) of no sync: any subset, but on
  the same name in their order, each only where the one before it happened.
- A rename happened or did not. Over another file: the old one or the new one, never neither.
  Between directories: once the target's was synced, and the source's not, the file may be
  found under both names; a sync of the source's makes all of it durable.
- A link, and the unlink of its origin, are two operations: each may happen without the other.
- A failed sync throws away what it was to write, as Linux does; a later one succeeds.
- ``DiskCell`` writes are writes that nobody syncs.
- When a process is killed all is there that it wrote, and as little durable as before.
- Permissions count as durable at once, and keep nobody out.
- Directories have the time of the last entry operation that happened; files that of the last
  write, or what ``set_modified`` said.

Not modelled: octets that change on a disk at rest, sectors that come back as garbage, reads
that fail after a crash, symbolic links, the order in which the kernel writes back
by itself (beyond 4096 changes of a file, or 4096 entry operations, the oldest are durable).

What lives here
    ``disk``: SimDisk. ``volume``: operations, trace, planted bugs, power cuts. ``nodes``: files
    and directories as programs see them, with ``content``. ``durability``: what is durable and
    what pends. ``choices`` and ``states``: what a crash leaves. ``faults``. ``handles``: open
    files. ``vfs``, ``vfs_files``, ``vfs_sharing``, ``sqlite_library``: SQLite.

May import
    core, errors, runtime.

Start reading at
    ``volume``, then ``durability``.

Invariants
    No file of the machine is touched. The same calls with the same seed give the same trace.
    A crash state is a copy: what is done to it is not seen elsewhere.

RFCs
    None. POSIX.1-2017 (fsync, rename), SQLite's "Atomic Commit" and "Write-Ahead Logging".
"""

from mailframe.testing.disk.disk import SimDisk
from mailframe.testing.disk.faults import Faults
from mailframe.testing.disk.ops import Op, PowerLost
from mailframe.testing.disk.states import CrashState

__all__ = ["CrashState", "Faults", "Op", "PowerLost", "SimDisk"]
