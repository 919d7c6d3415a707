"""A filter that counts words: ``[policy.content] filter = "word_filter:WordFilter"``, with this
file's directory on PYTHONPATH. What it has learnt is gone when the server stops."""

import math
import re
from collections import Counter, defaultdict
from hashlib import sha256

from zope.interface import implementer

from mailframe.interfaces import Evidence, IFilter, Opinion

WORD = re.compile(rb"[A-Za-z]{3,20}")
MOST = 64 * 1024  # octets of a message that are looked at


def words(message):
    return {word.lower() for word in WORD.findall(message[:MOST])}


@implementer(IFilter)
class WordFilter:
    def __init__(self):
        self.learnt = defaultdict(dict)  # account -> digest of a message -> is it spam
        self.seen = defaultdict(Counter)  # account and kind -> word -> messages
        self.messages = Counter()

    async def judge(self, message, account, evidence=0):
        hams, spams = (self.messages[account, kind] for kind in (False, True))
        found = []
        for word in words(message):
            ham, spam = (self.seen[account, kind][word] for kind in (False, True))
            if ham + spam > 1:
                weight = math.log((spam + 0.5) / (spams + 1)) - math.log((ham + 0.5) / (hams + 1))
                found.append(Evidence(word.decode(), weight, ham, spam))
        found.sort(key=lambda each: -abs(each.weight))
        total = max(-30.0, min(30.0, sum(each.weight for each in found[:20])))
        known = account if hams + spams else ""
        probability = 1 / (1 + math.exp(-total))
        return Opinion(probability, known, hams, spams, tuple(found[:evidence]))

    async def learn(self, message, account, is_spam, source):
        digest = sha256(message).digest()
        if self.learnt[account].get(digest) is is_spam:
            return False
        await self.forget(message, account)
        self.learnt[account][digest] = is_spam
        self.seen[account, is_spam].update(words(message))
        self.messages[account, is_spam] += 1
        return True

    async def forget(self, message, account):
        is_spam = self.learnt[account].pop(sha256(message).digest(), None)
        if is_spam is None:
            return False
        self.seen[account, is_spam].subtract(words(message))
        self.messages[account, is_spam] -= 1
        return True
