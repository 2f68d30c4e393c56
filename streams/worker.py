"""
The app as Faust's own commands want it: `faust -A streams.worker …` imports this module and finds `app`.

It is the one module that acts when it is imported. `routee-streams worker` does not need it, and does more: it keeps
two workers out of one folder, and serves health, metrics and answers.
"""

from streams.app import build_app
from streams.contract.settings import load_settings
from streams.process import USED_TOPICS, default_stages
from streams.provision import verify
from streams.settings import StreamsSettings

_settings = load_settings(StreamsSettings)
_ids = verify(_settings, USED_TOPICS)
app = build_app(_settings, _settings.streams_data_dir / "worker-0", _ids, default_stages(_settings))
