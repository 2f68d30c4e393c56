"""
The records of a source as an agent gets them, without what Faust measures of each.

Faust spends a turn of the event loop and four sensors on every record that an agent takes, as much as on a callback
and more than on everything else that a record costs there. Whoever takes these records offers turns by itself.
"""

from collections.abc import AsyncIterator
from typing import cast

import faust
from faust.types import AppT, ChannelT, EventT, Message

from streams.runtime import private_names


class RecordStream(faust.Stream[bytes]):
    """A stream of records, of which agents use `events` only."""

    logger = private_names.FAUST_LOGGER

    async def events(self) -> AsyncIterator[EventT[bytes]]:
        """
        Yield records in order; each is acknowledged when the next is asked for, and never by one that raised.

        What was read before the last change of the group, or comes while the next is on its way, is left out.
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
        except StopAsyncIteration:  # by which Faust ends a stream
            return
        finally:
            if started:
                await self.stop()
                self.service_reset()


def _is_current(app: AppT, message: Message) -> bool:
    return app.flow_control.is_active() and message.generation_id == app.consumer_generation_id
