"""Enrolled identities: the store, the exact search, and the decision. No torch."""

from arcwise.gallery.contract import (
    DamagedGallery,
    Enrolment,
    Gallery,
    Health,
    Hit,
    Receipt,
    Verification,
)
from arcwise.gallery.decision import Decision, decide, expected_fpir
from arcwise.gallery.open import open_gallery

__all__ = [
    "DamagedGallery",
    "Decision",
    "Enrolment",
    "Gallery",
    "Health",
    "Hit",
    "Receipt",
    "Verification",
    "decide",
    "expected_fpir",
    "open_gallery",
]
