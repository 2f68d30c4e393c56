"""
All that the golden data needs of the product: the one file to change when a module of the product moves.
"""

from streams.contract.codec import format_time_ms
from streams.contract.keys import partition_of
from streams.contract.topics import (
    ALL_TOPICS,
    CALLBACKS_RAW,
    CALLBACKS_REJECTED,
    CAMPAIGN_PARTIALS,
    CAMPAIGN_PROGRESS,
    SMS_STATUS,
    Topic,
    changelog,
)
from streams.domain.campaign_stage import CampaignStage
from streams.domain.counts import COUNTS_PREFIX, Tallying
from streams.domain.expiry import bucket_of, forget_due, stream_time
from streams.domain.message import SMS_PREFIX, find_message, message_key, read_message
from streams.domain.policy import Policy
from streams.domain.sms_stage import SmsStage
from streams.domain.stage import GENERATION_KEY, Output
from streams.domain.tally import TALLY_KEY, Tally, read_tally
from streams.domain.views import campaign_key, campaign_view, find_sms, message_view
from streams.state.rows.position import Position
from streams.state.rows.reserved_keys import CLAIM, HELD, OWNER, POSITION, SOURCE
from streams.state.store.rocks import RocksMemory, RocksStore
from streams.state.store.stores import MAX_AGE_SECONDS
from streams.state.store.write_behind import WriteBehind

MESSAGE_PREFIX = message_key("")
CAMPAIGN_PREFIX = campaign_key("")
SMS_CHANGELOG = changelog("sms")
CAMPAIGNS_CHANGELOG = changelog("campaigns")

__all__ = [
    "ALL_TOPICS",
    "CALLBACKS_RAW",
    "CALLBACKS_REJECTED",
    "CAMPAIGNS_CHANGELOG",
    "CAMPAIGN_PARTIALS",
    "CAMPAIGN_PREFIX",
    "CAMPAIGN_PROGRESS",
    "CLAIM",
    "COUNTS_PREFIX",
    "GENERATION_KEY",
    "HELD",
    "MAX_AGE_SECONDS",
    "MESSAGE_PREFIX",
    "OWNER",
    "POSITION",
    "SMS_CHANGELOG",
    "SMS_PREFIX",
    "SMS_STATUS",
    "SOURCE",
    "TALLY_KEY",
    "CampaignStage",
    "Output",
    "Policy",
    "Position",
    "RocksMemory",
    "RocksStore",
    "SmsStage",
    "Tally",
    "Tallying",
    "Topic",
    "WriteBehind",
    "bucket_of",
    "campaign_key",
    "campaign_view",
    "changelog",
    "find_message",
    "find_sms",
    "forget_due",
    "format_time_ms",
    "message_key",
    "message_view",
    "partition_of",
    "read_message",
    "read_tally",
    "stream_time",
]
