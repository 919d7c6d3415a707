"""The filter that learns: its memory in ``spam.db``, and those who teach it.

Lives as long as the house. Whose training counts for whom follows a reload; how much is
remembered needs a restart.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mailframe.app.config import Config
from mailframe.interfaces import IFolder
from mailframe.policy.strangers import Strangers
from mailframe.runtime.database import IfDamaged
from mailframe.spam.filter import LearningFilter
from mailframe.spam.moves import MoveLessons
from mailframe.spam.schema import MIGRATIONS

if TYPE_CHECKING:
    from mailframe.app.versions import Version
    from mailframe.app.wiring import House
    from mailframe.policy.content import ContentPolicy


class Filtering:
    """``start`` comes once there are mailboxes."""

    def __init__(self, house: House, config: Config) -> None:
        self.file = house.machine.database(
            os.path.join(config.base, "spam.db"), MIGRATIONS, if_damaged=IfDamaged.MEND
        )
        self._share = config.policy.content.share
        self._directory = house.desk.directory
        self.filter = LearningFilter(
            self.file,
            house.content_workers,
            house.reactor,
            share=self.share_of,
            hostname=config.hostname,
            max_trainings=config.policy.content.max_trainings,
        )

        async def open_folder(account: str, name: str) -> IFolder:
            return await house.folders.open(account).folder(name)

        self._moves = MoveLessons(
            self.filter,
            house.events,
            open_folder,
            house.journal,
            hostname=config.hostname,
            max_size=config.policy.content.max_size,
        )

    async def share_of(self, domain: str) -> str:
        """As the domain chose, else as the configuration says."""
        return (await self._directory.settings(domain)).share or self._share

    async def follow(self, config: Config) -> None:
        content = config.policy.content
        self._share = content.share
        if content.learn_from_moves:
            self._moves.start()
        else:
            await self._moves.stop()

    async def stop(self) -> None:
        await self._moves.stop()
        await self.filter.stop()

    def policy(
        self, house: House, config: Config, strangers: Strangers, version: Version
    ) -> ContentPolicy:
        # Here because not every server judges content; the filter may learn all the same.
        from mailframe.policy.content import ContentPolicy
        from mailframe.policy.own_rules import load_rules

        content = config.policy.content
        return ContentPolicy(
            strangers=strangers,
            filter=version.filter() or self.filter,
            workers=house.content_workers,
            clock=house.reactor,
            settings=self._directory.settings,
            junk=content.junk,
            reject=content.reject,
            weights=content.weights,
            rules=load_rules(content.rules),
            header=content.header,
            max_size=content.max_size,
        )
