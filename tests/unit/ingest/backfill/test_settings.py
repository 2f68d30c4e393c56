"""
The settings of the backfill: the window that they allow, and warnings at the start.
"""

from typing import Any

from ingest.backfill.settings import BackfillSettings


def settings(**given: Any) -> BackfillSettings:  # noqa: ANN401 - any setting
    return BackfillSettings(routee_application_id="a", routee_application_secret="b" * 16, **given)


def test_a_shorter_memory_of_streams_shortens_the_window_and_is_told() -> None:
    """An SMS that streams has forgotten would count a second time."""
    assert settings().window_seconds == 7 * 86_400
    short = settings(streams_state_retention_hours=72)
    assert short.window_seconds == 72 * 3600
    (line,) = short.warnings()
    assert line.startswith("STREAMS_STATE_RETENTION_HOURS=72: ")


def test_a_url_without_tls_is_told_unless_it_stays_on_this_machine() -> None:
    """The secret goes to the one, numbers and texts come from the other."""
    assert not list(settings().warnings())
    assert not list(settings(routee_auth_url="http://127.0.0.1:8", routee_api_url="http://[::1]:8").warnings())
    lines = list(settings(routee_auth_url="http://192.0.2.1", routee_api_url="http://192.0.2.1/v1").warnings())
    assert [line.split(": ")[0] for line in lines] == [
        "ROUTEE_AUTH_URL=http://192.0.2.1",
        "ROUTEE_API_URL=http://192.0.2.1/v1",
    ]
