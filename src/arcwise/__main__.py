"""`python -m arcwise` is `arcwise`."""

import sys

from arcwise.cli import main

sys.exit(main())
