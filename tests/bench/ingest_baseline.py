"""
The server that most teams would write first: FastAPI, a model of the callback, aiokafka's `send_and_wait`.

It answers 200 when all in-sync replicas have the callback, and has nothing else that ingest has: no limits in
time and number, no rejected topic, no metrics. uvicorn runs it at its best: uvloop, httptools, no access log.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from secrets import compare_digest

import uvicorn
from aiokafka import AIOKafkaProducer
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field


class Reason(BaseModel):
    """Why an SMS has its status."""

    detailedStatus: str | None = None  # noqa: N815 - Routee's spelling
    description: str | None = None


class Status(BaseModel):
    """The status of an SMS."""

    name: str
    updatedDate: datetime | None = None  # noqa: N815
    reason: Reason | None = None


class Callback(BaseModel):
    """Routee's callback about one SMS."""

    messageId: str  # noqa: N815
    status: Status
    smsId: str | None = None  # noqa: N815
    campaignTrackingId: str | None = None  # noqa: N815
    campaignName: str | None = None  # noqa: N815
    part: int = 1
    parts: int = 1
    label: str | None = None
    to: str | None = None
    sender: str | None = Field(None, alias="from")
    country: str | None = None
    operator: str | None = None
    groups: list[str] = []
    message: str | None = None
    applicationName: str | None = None  # noqa: N815
    latency: int | None = None
    price: float | None = None
    direction: str | None = None
    originatingService: str | None = None  # noqa: N815


def application(servers: str, topic: str, secret: str) -> FastAPI:
    """Return the server."""
    producers: list[AIOKafkaProducer] = []

    @asynccontextmanager
    async def connected(_: FastAPI) -> AsyncIterator[None]:
        producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all", enable_idempotence=True)
        await producer.start()
        producers.append(producer)
        yield
        await producer.stop()

    app = FastAPI(lifespan=connected)

    @app.post("/callbacks/{given}")
    async def take(given: str, callback: Callback) -> dict[str, bool]:
        if not compare_digest(given.encode(), secret.encode()):
            raise HTTPException(404)
        value = callback.model_dump_json(by_alias=True).encode()
        await producers[0].send_and_wait(topic, value, key=callback.messageId.encode())
        return {"ok": True}

    return app


def main() -> None:
    """Serve until SIGTERM; settings are the environment's, as for ingest."""
    env = os.environ
    app = application(
        env["KAFKA_BOOTSTRAP_SERVERS"], env["KAFKA_TOPIC_PREFIX"] + "callbacks.raw", env["INGEST_SECRETS"]
    )
    uvicorn.run(app, host="127.0.0.1", port=int(env["INGEST_PORT"]), log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
