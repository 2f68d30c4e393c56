"""
`python -m tests.bench.console`.
"""

import sys

from tests.bench.console import main

sys.exit(main())
