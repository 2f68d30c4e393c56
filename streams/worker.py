"""
The app as Faust's own commands want it: `faust -A streams.worker …` imports this module and finds `app`.

It is the one module that acts when it is imported. `routee-streams worker` does not need it, and does more: it
verifies the topics and keeps two workers out of one folder.
"""

from streams.app import build_app
from streams.contract.settings import load_settings
from streams.process import default_stages
from streams.settings import StreamsSettings

_settings = load_settings(StreamsSettings)
app = build_app(_settings, _settings.streams_data_dir / "worker-0", default_stages(_settings))
