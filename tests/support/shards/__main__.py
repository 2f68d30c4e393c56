"""
Two shards behind ClickHouse's HTTP interface: `python -m tests.support.shards PORT FOLDER`.
"""

import os
import sys
from pathlib import Path

from sandbox.clickhouse.server import serve
from tests.support.shards.engine import TwoShards

serve(TwoShards(Path(sys.argv[2])), "default", os.environ["CLICKHOUSE_PASSWORD"], "127.0.0.1", int(sys.argv[1]))
