"""
One worker process, from its first check to its exit code.
"""

import gc
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from signal import SIGHUP, Signals
from threading import Timer
from typing import Final

import faust
from mode import ServiceT
from prometheus_client import CollectorRegistry

from streams.admin.topics import verify
from streams.app import Hooks, Stages, StreamsApp, build_app
from streams.contract.permissions import webhook_group
from streams.contract.topics import DELIVERY_ALARMS, DELIVERY_WATCH
from streams.domain.alarm_stage import AlarmStage
from streams.domain.alarms.notice import secret_bytes
from streams.domain.alarms.thresholds import parse_thresholds
from streams.domain.campaign_stage import CampaignStage
from streams.domain.delivery_stage import DeliveryStage
from streams.domain.sms_stage import SmsStage
from streams.errors import Exit, PortInUseError, die
from streams.folder import worker_folder
from streams.health import LagAges
from streams.metrics import FlushMetrics, StateMetrics, notices_metric
from streams.program.allocator import keep_large_buffers
from streams.program.brokers import client_options
from streams.program.descriptors import raise_limit
from streams.program.listening import CannotListenError
from streams.program.registry import new_registry
from streams.program.signals import ending_signals
from streams.program.vitals import Vitals, disk_of
from streams.runtime.private_names import FAUST_LOGGER
from streams.runtime.ticks import Ticks
from streams.runtime.webhook import Webhook
from streams.settings import StreamsSettings
from streams.web import Sockets, WebServer

logger = logging.getLogger(__name__)

STOP_SECONDS: Final = 8.0
"""A worker ends at most this long after the signal to stop."""


class Worker(faust.Worker):
    """Faust's worker without banner, spinner, its own logging and its own process title."""

    logger = FAUST_LOGGER

    def __init__(self, app: StreamsApp, *services: ServiceT) -> None:
        super().__init__(app, *services, override_logging=False, redirect_stdouts=False, quiet=True)
        self.spinner = None

    def install_signal_handlers(self) -> None:
        """Stop at SIGHUP, too."""
        super().install_signal_handlers()
        if SIGHUP in ending_signals():
            self.loop.add_signal_handler(SIGHUP, self._schedule_shutdown, SIGHUP)

    def _schedule_shutdown(self, signal: Signals) -> None:
        super()._schedule_shutdown(signal)
        # Without Kafka the last flush would wait as long as any other.
        why = f"not stopped {STOP_SECONDS:.0f} s after {signal.name}: unacknowledged records are read again"
        deadline = Timer(STOP_SECONDS, die, (Exit.FLUSH_FAILED, why))
        deadline.daemon = True
        deadline.start()

    def _setproctitle(self, info: str, *, ident: str = "") -> None:
        """Do nothing: people find the process by its name."""


_COLLECT_AFTER_OBJECTS: Final = 50_000
"""
New objects before Python looks for cycles among them (its default is 700). Rows and records are made and freed by the
hundred thousand and never refer to each other, so an earlier collection finds nothing and costs time.
"""


def run_worker(settings: StreamsSettings, stages: Stages | None = None, hooks: Hooks | None = None) -> None:
    """
    Work until SIGTERM, SIGINT or SIGHUP; return when all is flushed and committed and the worker has left its group.

    Raises StreamsError when the worker cannot start. Ends the process with SystemExit(1) when Faust gives up, and with
    `die` when nothing more may be written.
    """
    keep_large_buffers()
    raise_limit()  # RocksDB keeps all files of the local state open
    ids = verify(settings, more=settings.more_permissions)
    gc.set_threshold(_COLLECT_AFTER_OBJECTS, 20, 20)
    gc.freeze()  # imported modules stay for good
    with worker_folder(settings.streams_data_dir) as folder, _sockets(settings) as sockets:
        registry, ages = new_registry(), LagAges()
        hooks = replace(hooks or Hooks(), on_flush=FlushMetrics(registry))
        app = build_app(settings, folder, ids, stages or default_stages(settings), hooks)
        registry.register(StateMetrics(app, ages))
        vitals = Vitals("streams", lambda: disk_of("state", folder))
        logger.info("starting", extra={"group": settings.group_id, "folder": str(folder)})
        web = WebServer(app, registry, vitals, ages, settings.readers, sockets)
        _execute(Worker(app, web, _ticks(app, settings), *_webhook(settings, registry)))
        logger.info("stopped")


def _ticks(app: StreamsApp, settings: StreamsSettings) -> Ticks:
    watch = DELIVERY_WATCH.name(settings.kafka_topic_prefix)
    stage = app.sms.checkpointer.spec.stage
    late = stage.late if isinstance(stage, SmsStage) else lambda _: 0
    slowest = max(settings.streams_delivery_ms, settings.streams_progress_ms) / 1000
    return Ticks(app, (app.sms, app.deliveries, app.campaigns), watch, slowest, late)


def _webhook(settings: StreamsSettings, registry: CollectorRegistry) -> Iterator[Webhook]:
    """Yield the webhook when there is one."""
    address, secret = settings.streams_alarm_webhook, settings.streams_alarm_webhook_secret
    if address and secret:
        prefix = settings.kafka_topic_prefix
        yield Webhook(
            address.get_secret_value(),
            secret_bytes(secret.get_secret_value()),
            DELIVERY_ALARMS.name(prefix),
            webhook_group(prefix),
            client_options(settings),
            notices_metric(registry),
        )


def _execute(worker: Worker) -> None:
    # A commit waits for a flush; Faust would warn of each commit that takes longer than the commit interval.
    logging.getLogger("mode.timers").setLevel(logging.ERROR)
    try:
        worker.execute_from_commandline()
    except SystemExit as end:
        if end.code:
            raise


@contextmanager
def _sockets(settings: StreamsSettings) -> Iterator[Sockets]:
    """Yield the listening sockets, bound before anything else starts. Raises PortInUseError when one cannot be had."""
    with ExitStack() as stack:
        try:
            pages, answers = (
                stack.enter_context(endpoint.bind()) for endpoint in (settings.admin_endpoint, settings.web_endpoint)
            )
        except CannotListenError as error:
            raise PortInUseError(str(error)) from error
        yield Sockets(pages, answers)


def default_stages(settings: StreamsSettings) -> Stages:
    """Return the stages of the product, configured by the settings."""
    policy = settings.policy
    alarms = AlarmStage(parse_thresholds(settings.streams_alarm_thresholds))
    return Stages(SmsStage(policy), CampaignStage(policy.silence_ms), DeliveryStage(), alarms)
