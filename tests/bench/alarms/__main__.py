"""
`python -m tests.bench.alarms`.
"""

import sys

from tests.bench.alarms import main

sys.exit(main())
