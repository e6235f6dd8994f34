"""Enrolled identities: the store, the exact search, and the decision. No torch."""

from arcwise.gallery.address import open_gallery, shown_address
from arcwise.gallery.calibration import SecondLook
from arcwise.gallery.contract import (
    DamagedGallery,
    EnrolledTemplate,
    Enrolment,
    Gallery,
    GalleryAbout,
    GalleryCalibration,
    GallerySize,
    Health,
    Hit,
    NewTemplate,
    Receipt,
    StoredTemplates,
    UnavailableGallery,
    VerificationScore,
    Where,
)
from arcwise.gallery.decision import Decision, above_next, decide
from arcwise.gallery.operating_point import (
    OperatingPoint,
    bound,
    check_one_rate,
    nearest,
    operating_points,
    usual_point,
)
from arcwise.gallery.swapping import check_free, swap

__all__ = [
    "DamagedGallery",
    "Decision",
    "EnrolledTemplate",
    "Enrolment",
    "Gallery",
    "GalleryAbout",
    "GalleryCalibration",
    "GallerySize",
    "Health",
    "Hit",
    "NewTemplate",
    "OperatingPoint",
    "Receipt",
    "SecondLook",
    "StoredTemplates",
    "UnavailableGallery",
    "VerificationScore",
    "Where",
    "above_next",
    "bound",
    "check_free",
    "check_one_rate",
    "decide",
    "nearest",
    "open_gallery",
    "operating_points",
    "shown_address",
    "swap",
    "usual_point",
]
