"""
The AsyncAPI document: every public topic with its key, partitions, settings and the schema of its values.
"""

from typing import Any, Final

from streams.contract.erasures import BLANKED
from streams.contract.headers import CAMPAIGN, ERASURES, FINAL, SCHEMA, TYPE, VERSION, schema_name
from streams.contract.records import PUBLIC_RECORDS
from streams.contract.schemas import components_of, examples_of, reference, urn
from streams.contract.topics import PUBLIC_TOPICS, Topic

_PREFIX: Final = "routee."
_BINDING: Final = "0.5.0"
_LISTS: Final = ("cleanup.policy",)
_ABOUT: Final = (
    "The topics on which SMS callbacks of Routee become the latest status of every SMS and the progress of every "
    "campaign. Names have the default KAFKA_TOPIC_PREFIX. Delivery is at least once, and a reader must ignore unknown "
    "fields; README.md beside this file says how records change."
)


def asyncapi(partitions: int) -> dict[str, Any]:
    """Return the document; `partitions` is the default of KAFKA_PARTITIONS."""
    return {
        "asyncapi": "3.1.0",
        "id": urn(f"asyncapi/{VERSION}"),
        "info": {
            "title": "routee-callbacks",
            "version": f"{VERSION}",
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {topic.suffix: _channel(topic, partitions) for topic in PUBLIC_TOPICS},
        "operations": {f"write.{topic.suffix}": _operation(topic) for topic in PUBLIC_TOPICS},
        "components": {
            "messages": {topic.suffix: _message(topic) for topic in PUBLIC_TOPICS},
            "schemas": components_of(PUBLIC_RECORDS.values()),
        },
    }


def _channel(topic: Topic, partitions: int) -> dict[str, Any]:
    about, _, parties = topic.about.partition("; ")
    return {
        "address": topic.name(_PREFIX),
        "title": topic.suffix,
        "summary": about,
        "description": f"{parties}. Key: {topic.key}. Partition: {topic.spread}.",
        "messages": {topic.suffix: {"$ref": f"#/components/messages/{topic.suffix}"}},
        "bindings": {
            "kafka": {
                "topic": topic.name(_PREFIX),
                "partitions": topic.partitions or partitions,
                "topicConfiguration": {name: _value(name, value) for name, value in topic.config.items()},
                "x-partition": topic.spread,
                "bindingVersion": _BINDING,
            }
        },
    }


def _value(setting: str, value: str) -> Any:  # noqa: ANN401 - as the binding has each setting
    """Return the value of a setting in the type that the binding asks for."""
    if setting in _LISTS:
        return value.split(",")
    if value in ("true", "false"):
        return value == "true"
    return int(value) if value.lstrip("-").isdecimal() else value


def _operation(topic: Topic) -> dict[str, Any]:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{topic.suffix}"},
        "summary": f"write {topic.about.partition('; ')[0]}",
        "messages": [{"$ref": f"#/channels/{topic.suffix}/messages/{topic.suffix}"}],
    }


def _message(topic: Topic) -> dict[str, Any]:
    record = PUBLIC_RECORDS[topic.suffix]
    return {
        "name": topic.suffix,
        "title": record.__name__,
        "contentType": "application/json",
        "headers": _headers(topic),
        "payload": reference(record),
        "bindings": {"kafka": {"key": _key(topic), "bindingVersion": _BINDING}},
        "examples": [{"payload": record} for record in examples_of(topic.suffix)],
        "x-schema": schema_name(topic.suffix),
    }


def _headers(topic: Topic) -> dict[str, Any]:
    """Return the schema of the headers; their values are text in UTF-8."""
    fields = PUBLIC_RECORDS[topic.suffix].model_fields
    headers: dict[str, Any] = {
        TYPE: {"const": topic.suffix, "description": "the topic without its prefix"},
        SCHEMA: {"const": schema_name(topic.suffix), "description": "the form of the value, and its version"},
    }
    needed = [TYPE, SCHEMA]
    if fields.keys() >= {*BLANKED}:
        headers[ERASURES] = {
            "description": "for sinks: which erasures hold in a batch of so many records; on its first"
        }
    if "is_final" in fields:
        headers[FINAL] = {"enum": ["0", "1"], "description": "1 when the SMS or campaign is final, else 0"}
        needed.append(FINAL)
    if campaign := fields.get("campaign_tracking_id"):
        headers[CAMPAIGN] = {"description": "campaign_tracking_id; missing when there is no campaign"}
        needed += [CAMPAIGN] if campaign.annotation is str else []
    properties = {name: {"type": "string", **header} for name, header in headers.items()}
    return {"type": "object", "properties": properties, "required": needed}


def _key(topic: Topic) -> dict[str, Any]:
    always, _, sometimes = topic.key.rpartition("else ")
    kind: Any = "string" if sometimes != "none" else ["string", "null"] if always else "null"
    return {"type": kind, "description": topic.key}
