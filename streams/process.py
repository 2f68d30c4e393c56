"""
One worker process, from its first check to its exit code.
"""

import logging
from typing import Any, Final

import faust

from streams.app import StreamsApp, build_app
from streams.contract.topics import (
    CALLBACKS_RAW,
    CALLBACKS_REJECTED,
    CAMPAIGN_PARTIALS,
    CAMPAIGN_PROGRESS,
    SMS_STATUS,
    changelog,
)
from streams.domain.campaign_stage import CampaignStage
from streams.domain.policy import Policy
from streams.domain.sms_stage import SmsStage
from streams.domain.stage import Stage
from streams.folder import worker_folder
from streams.provision import verify
from streams.settings import StreamsSettings
from streams.state.checkpoint import OnStep, no_step
from streams.state.internals import FAUST_LOGGER

logger = logging.getLogger(__name__)

USED_TOPICS: Final = (
    CALLBACKS_RAW,
    CALLBACKS_REJECTED,
    SMS_STATUS,
    CAMPAIGN_PROGRESS,
    CAMPAIGN_PARTIALS,
    changelog("sms"),
    changelog("campaigns"),
)


class Worker(faust.Worker):
    """Faust's worker, quiet: no banner, no spinner, no logging of its own, no new name for the process."""

    logger = FAUST_LOGGER

    def __init__(self, app: StreamsApp, **options: Any) -> None:  # noqa: ANN401 - as faust.Worker takes them
        super().__init__(app, override_logging=False, redirect_stdouts=False, quiet=True, **options)
        self.spinner = None

    def _setproctitle(self, info: str, *, ident: str = "") -> None:
        """Leave the name by which people find the process."""


def run_worker(settings: StreamsSettings, stages: tuple[Stage, Stage] | None = None, on_step: OnStep = no_step) -> None:
    """
    Work until SIGTERM or SIGINT; return when everything is flushed, committed and the group is left.

    Raises StreamsError when the worker cannot start. Ends the process by SystemExit(1) when Faust gives up, and by
    `die` where nothing may be written any more.
    """
    verify(settings, USED_TOPICS)
    with worker_folder(settings.streams_data_dir) as folder:
        app = build_app(settings, folder, stages or default_stages(settings), on_step)
        logger.info("starting", extra={"group": settings.group_id, "folder": str(folder)})
        try:
            Worker(app).execute_from_commandline()
        except SystemExit as exit_:
            if exit_.code:
                raise
        logger.info("stopped")


def default_stages(settings: StreamsSettings) -> tuple[Stage, Stage]:
    """Return the rules of the SMS and of the campaigns, as the settings want them."""
    key = settings.streams_hmac_key
    policy = Policy(
        conflicting_finals=settings.streams_conflicting_finals,
        retention_hours=settings.streams_state_retention_hours,
        recipient=settings.streams_recipient,
        hmac_key=key.get_secret_value() if key else "",
        message_text=settings.streams_message_text,
    )
    return SmsStage(policy), CampaignStage()
