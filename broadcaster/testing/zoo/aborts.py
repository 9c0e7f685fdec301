"""A module that aborts its process when it is imported."""

import os

os.abort()
