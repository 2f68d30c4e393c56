"""
Settings of the sandbox that are refused.
"""

import pytest

from sandbox.settings import SandboxSettings
from streams.program.settings import SettingsError, load_settings


@pytest.mark.parametrize("brokers", [0, 2, 4])
def test_there_is_one_broker_or_there_are_three(brokers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_KAFKA_BROKERS", str(brokers))
    with pytest.raises(SettingsError, match=f"^SANDBOX_KAFKA_BROKERS={brokers}: 1 or 3 is expected$"):
        load_settings(SandboxSettings, env_file=None)
