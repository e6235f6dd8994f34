"""Examples of answers, for the OpenAPI."""

from typing import Any

_SIZE = {"identities": 120, "templates": 360, "fewest": 3, "most": 3, "newest": 360}
_BASIS = {
    "fpir": 0.01,
    "gallery": 120,
    "templates": 3,
    "threshold": 0.6213,
    "low": 0.6102,
    "high": 0.6338,
    "fpir_low": 0.004,
    "fpir_high": 0.019,
    "resolved": True,
    "probes": 4100,
    "identities": 210,
    "dir": 0.94,
    "dir_low": 0.91,
    "dir_high": 0.97,
}
_SEARCH = {
    "queries": [
        {
            "image": "shelf.jpg",
            "error": None,
            "decision": {
                "identity": "oat-milk",
                "similarity": 0.8127,
                "margin": 0.2141,
                "threshold": 0.6213,
                "far": None,
                "fpir": 0.01,
                "above_next": None,
                "neighbours": 0,
            },
            "hits": [
                {
                    "identity": "oat-milk",
                    "similarity": 0.8127,
                    "template": 17,
                    "metadata": {"image": "oat-milk.jpg", "shelf": 3},
                }
            ],
        }
    ],
    "point": {
        "threshold": 0.6213,
        "fpir": 0.01,
        "fpir_interval": [0.004, 0.019],
        "basis": _BASIS,
        "fits": True,
        "exact": True,
        "dir": [0.94, 0.91, 0.97],
        "in_this_gallery": True,
        "neighbours": 0,
    },
    "promise": "of 100 images of enrolled identities about 94 are found (91 to 97); of 100 of "
    "others about 1 gets an answer (0 to 2)",
    "size": _SIZE,
    "calibration": {
        "identities": 120,
        "templates": 360,
        "thresholds": [_BASIS],
        "measured_on": "strangers/",
        "newest": 360,
    },
    "outgrown": False,
    "unmeasured": "",
    "together": 0,
    "weighting": "",
    "notes": [],
    "licence": "MIT",
}
_VERIFY = {
    "accepted": True,
    "similarity": 0.8127,
    "templates": 3,
    "threshold": {
        "far": 0.001,
        "threshold": 0.5472,
        "low": 0.5391,
        "high": 0.5566,
        "resolved": True,
        "impostors": 90000,
        "identities": 210,
        "far_low": 0.0006,
        "far_high": 0.0015,
        "far_spread": 0.4,
        "tar": 0.97,
        "tar_low": 0.95,
        "tar_high": 0.98,
    },
    "promise": "FAR 0.001: similarity >= 0.5472 [0.5391, 0.5566], accepts 97.00% of mated pairs; "
    "of 1,000 images of others about 3 or fewer would be accepted (0 to 8.1)",
    "outgrown": False,
    "unmeasured": "",
    "together": 1,
    "weighting": "",
    "notes": [],
    "failures": [],
}
_ENROL = {
    "identity": "oat-milk",
    "templates": [361],
    "images": ["front.jpg"],
    "replaced": 0,
    "failures": [{"image": "back.jpg", "reason": "damaged: the file ends early"}],
    "refused": [],
    "qualities": None,
    "weighting": "",
    "notes": [],
    "size": {**_SIZE, "templates": 361, "most": 4, "newest": 361},
    "outgrown": True,
}
_AUDIT = {
    "templates": 360,
    "identities": 120,
    "findings": [
        {
            "kind": "one identity",
            "templates": [40, 41, 42],
            "identities": ["oat-milk", "oat milk 1l"],
            "similarity": 0.8431,
            "nearest": None,
            "said": "they find each other at 0.843",
        }
    ],
    "point": _SEARCH["point"],
    "pair": _VERIFY["threshold"],
    "hub_limit": 31,
    "notes": [],
}
_CALIBRATION = {
    "point": _SEARCH["point"],
    "promise": _SEARCH["promise"],
    "points": [_SEARCH["point"]],
    "thresholds": [_VERIFY["threshold"]],
    "measured_on": "tune.csv",
    "calibration": _SEARCH["calibration"],
    "outgrown": False,
}
_ERROR = {
    "error": {
        "code": "image_unreadable",
        "message": "shelf.jpg: damaged: the file ends early",
        "do": "send a whole image file: JPEG, PNG, WebP, BMP, GIF, TIFF or PNM",
        "request": "5f0c9d7e2b1a4c38",
        "images": [{"image": "shelf.jpg", "reason": "damaged: the file ends early"}],
    }
}

Responses = dict[int | str, dict[str, Any]]


def _ok(example: Any) -> Responses:
    return {200: {"content": {"application/json": {"example": example}}}}


SEARCH, VERIFY, ENROL, AUDIT = _ok(_SEARCH), _ok(_VERIFY), _ok(_ENROL), _ok(_AUDIT)
CALIBRATION = _ok(_CALIBRATION)
ERROR = _ERROR
