"""
`python -m tests.bench.scale`.
"""

import sys

from tests.bench.scale import main

sys.exit(main())
