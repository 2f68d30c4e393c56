"""
The app as Faust's own commands want it: `faust -A streams.worker …` imports this module and finds `app`.

It is the one module that acts when it is imported. `routee-streams worker` does not need it, and does more: it keeps
two workers out of one folder, and serves health, metrics and answers.
"""

import sys

from streams.app import StreamsApp, build_app
from streams.contract.settings import SettingsError, load_settings
from streams.errors import StreamsError
from streams.process import USED_TOPICS, default_stages
from streams.provision import verify
from streams.settings import StreamsSettings


def _app() -> StreamsApp:
    settings = load_settings(StreamsSettings)
    ids = verify(settings, USED_TOPICS)
    return build_app(settings, settings.streams_data_dir / "worker-0", ids, default_stages(settings))


def _app_or_exit() -> StreamsApp:
    """Return the app, or end the program as `routee-streams` would: whoever imports this can do nothing else."""
    try:
        return _app()
    except (SettingsError, StreamsError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - a line for people
        sys.exit(2 if isinstance(error, SettingsError) else 1)


app = _app_or_exit()
