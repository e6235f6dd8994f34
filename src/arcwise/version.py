"""The version of Arcwise."""

__version__ = "0.1.0"
