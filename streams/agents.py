"""
The four agents: thin loops that pass records to their tables. All rules are in the tables' stages.
"""

from faust.types import AppT, StreamT, TopicT

from streams.runtime.table import CheckpointedTable


def add_agents(
    app: AppT,
    sms: CheckpointedTable,
    campaigns: CheckpointedTable,
    deliveries: CheckpointedTable,
    alarms: CheckpointedTable,
) -> None:
    """Let the app read the source topics of all tables."""

    async def track_sms(envelopes: StreamT[bytes]) -> None:
        async for event in envelopes.events():
            await sms.take_in(event.message)

    async def track_campaign(partials: StreamT[bytes]) -> None:
        async for event in partials.events():
            await campaigns.take_in(event.message)

    async def track_delivery(partials: StreamT[bytes]) -> None:
        async for event in partials.events():
            await deliveries.take_in(event.message)

    async def track_alarms(cells: StreamT[bytes]) -> None:
        async for event in cells.events():
            await alarms.take_in(event.message)

    app.agent(_source(app, sms), name="track_sms")(track_sms)
    app.agent(_source(app, campaigns), name="track_campaign")(track_campaign)
    app.agent(_source(app, deliveries), name="track_delivery")(track_delivery)
    app.agent(_source(app, alarms), name="track_alarms")(track_alarms)


def _source(app: AppT, table: CheckpointedTable) -> TopicT:
    return app.topic(
        table.source,
        key_type=bytes,
        key_serializer="raw",
        value_type=bytes,
        value_serializer="raw",
        partitions=table.partitions,
    )
