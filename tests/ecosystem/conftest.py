"""The neighbours' own tests need their site's settings: test_neighbours.py runs each by itself."""

from __future__ import annotations

import os

collect_ignore = [] if os.environ.get("NEIGHBOUR") else ["neighbours"]
