"""What an image file says of itself, read before a single pixel is decoded."""

from arcwise.images.headers.header import Header, HeaderError
from arcwise.images.headers.heif import heif_kind
from arcwise.images.headers.kinds import ACCEPTED, RAW, UNREAD, read_header

__all__ = ["ACCEPTED", "RAW", "UNREAD", "Header", "HeaderError", "heif_kind", "read_header"]
