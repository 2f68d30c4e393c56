"""
Settings of topics, changed as by an operator.
"""

from collections.abc import Mapping
from typing import Any

from kafka.admin import ConfigResource, ConfigResourceType

from tests.support.wait import eventually


def configure(admin: Any, topic: str, settings: Mapping[str, str]) -> None:  # noqa: ANN401 - no types
    """
    Change settings of a topic, and return when the broker tells them.

    It acknowledges a change before it has it: a program that began at once would find the former settings.
    """
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, dict(settings))])
    asked = [ConfigResource(ConfigResourceType.TOPIC, topic)]

    def told() -> dict[str, str]:
        found = admin.describe_configs(asked, config_filter="all")["topic"][topic]
        return {name: found[name]["value"] for name in settings}

    eventually(lambda: told() == settings)
