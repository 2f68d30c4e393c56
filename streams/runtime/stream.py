"""
The stream of source records for an agent, without Faust's per-record measurements.

Faust spends a turn of the event loop and four sensor calls on every record: as much as a callback costs, and more than
the rest of the record's cost there. Consumers of this stream must offer turns themselves.
"""

from collections.abc import AsyncIterator
from typing import cast

import faust
from faust.types import AppT, ChannelT, EventT, Message

from streams.runtime import private_names


class RecordStream(faust.Stream[bytes]):
    """A stream of records; agents use only its `events`."""

    logger = private_names.FAUST_LOGGER

    async def events(self) -> AsyncIterator[EventT[bytes]]:
        """
        Yield records in order. Asking for the next record acknowledges the one before; an agent that raised does not.

        Records fetched before the last rebalance, or during one, are skipped.
        """
        app, queue = self.app, cast("ChannelT[bytes]", self.channel).queue
        unacknowledged = app.consumer.unacked
        started = await self.maybe_start()
        try:
            while not self.should_stop:
                event = await queue.get()
                message = event.message
                if not _is_current(app, message):
                    continue
                message.tracked = True
                unacknowledged.add(message)
                yield event
                message.ack(app.consumer)
        except StopAsyncIteration:  # Faust ends a stream with it
            return
        finally:
            if started:
                await self.stop()
                self.service_reset()


def _is_current(app: AppT, message: Message) -> bool:
    """
    Return whether a record may be taken in.

    A rebalance begins before Faust suspends the flow. A table takes nothing in from then on, so the records after the
    one that it left would seem to follow a gap. All of them are read again.
    """
    return not app.rebalancing and app.flow_control.is_active() and message.generation_id == app.consumer_generation_id
