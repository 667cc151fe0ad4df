"""Append, remove, bury, reopen, requeue in any order, against a list in memory."""

import asyncio
import shutil
import sqlite3
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from service.core.envelope import Envelope
from service.spool.config import SpoolConfig
from service.spool.errors import SpoolFull
from service.spool.inspection import put_back
from service.spool.store import SpoolStore
from tests.spool.stores import Fields, fields, file_of

CAP = 30

ENVELOPES = st.builds(
    Envelope,
    st.sampled_from(["postfix.bounced.mx1", "postfix.reject.unknown"]),
    st.text("0123456789abcdef", min_size=1, max_size=3),
    st.sampled_from(["bounced", "reject"]),
    # Long ones fill pages of their own; drawn byte by byte they would be too much for Hypothesis.
    st.binary(max_size=50) | st.binary(min_size=4, max_size=4).map(lambda some: some * 5000),
    st.sampled_from(["", "ce-id: 1"]),
    st.floats(0, 2e9),
)


class Spool(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.data_dir = Path(tempfile.mkdtemp())
        self.waiting: list[tuple[int, Fields]] = []
        self.dead: list[tuple[str, Fields]] = []
        self.last_id = 0
        self._open()

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(coroutine)

    def _open(self) -> None:
        async def opened() -> SpoolStore:
            store = SpoolStore(self.data_dir, SpoolConfig(max_events=CAP))
            await store.open()
            return store

        self.store: SpoolStore = self._run(opened())

    @rule(batches=st.lists(st.lists(ENVELOPES, min_size=1, max_size=5), max_size=4))
    def append(self, batches: list[list[Envelope]]) -> None:
        async def at_the_same_time() -> list[Any]:
            calls = (self.store.append(batch) for batch in batches)
            return await asyncio.gather(*calls, return_exceptions=True)

        for batch, answer in zip(batches, self._run(at_the_same_time()), strict=True):
            if len(self.waiting) >= CAP:
                assert isinstance(answer, SpoolFull)
                continue
            assert min(answer) > self.last_id
            self.last_id = max(answer)
            self.waiting += zip(answer, map(fields, batch), strict=True)

    @rule(share=st.floats(0, 1), data=st.data())
    def remove(self, share: float, data: st.DataObject) -> None:
        """A drain's way: what is oldest, some of it not in order."""
        count = int(share * len(self.waiting))
        ids = data.draw(st.permutations([id for id, _ in self.waiting[:count]]))
        left = data.draw(st.sets(st.sampled_from(ids))) if ids else set()
        self._run(self.store.remove([*(id for id in ids if id not in left), self.last_id + 5]))
        self.waiting = [(id, event) for id, event in self.waiting if id in left or id not in ids]

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), reason=st.sampled_from(["too_large", "no_stream"]))
    def bury(self, data: st.DataObject, reason: str) -> None:
        id, event = data.draw(st.sampled_from(self.waiting))
        subject, message_id, event_type, body, headers, received = event
        letter = Envelope(subject, message_id, event_type, body, headers, received)
        self._run(self.store.bury(letter, reason, "", id))
        self.waiting.remove((id, event))
        self.dead.append((reason, event))

    @rule(reason=st.sampled_from(["too_large", "no_stream", None]), is_running=st.booleans())
    def requeue(self, reason: str | None, is_running: bool) -> None:
        if not is_running:
            self._run(self.store.close())
        back = [event for why, event in self.dead if reason in (None, why)]
        assert put_back(file_of(self.data_dir), None, reason) == len(back)
        self.dead = [(why, event) for why, event in self.dead if reason not in (None, why)]
        for event in back:
            self.last_id += 1
            self.waiting.append((self.last_id, event))
        if not is_running:
            self._open()
        else:
            self._run(self.store.remove([self.last_id + 5]))  # any commit reads the totals

    @rule()
    def reopen(self) -> None:
        self._run(self.store.close())
        self._open()

    @invariant()
    def it_is_what_the_model_says(self) -> None:
        if not hasattr(self, "store"):
            return
        found = self._run(self.store.read(0, 1000, 10**9))
        assert [(id, fields(event)) for id, event in found] == self.waiting
        assert self.store.events == len(self.waiting)
        assert self.store.dead_letters == len(self.dead)
        assert self.store.has_room == (len(self.waiting) < CAP)
        assert self.store.bytes == sum(
            len(subject) + len(message_id) + len(headers) + len(body)
            for _, (subject, message_id, _, body, headers, _) in self.waiting
        )

    def teardown(self) -> None:
        if not hasattr(self, "store"):
            return
        self._run(self.store.close())
        with sqlite3.connect(file_of(self.data_dir)) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            counts = db.execute("SELECT count(*), total(size) FROM events").fetchone()
            assert counts == db.execute("SELECT events, bytes FROM totals").fetchone()
        db.close()
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        shutil.rmtree(self.data_dir)


TestSpool = Spool.TestCase
TestSpool.settings = settings(max_examples=25, stateful_step_count=15)
