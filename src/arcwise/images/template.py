"""Where the five landmarks of a face belong in an aligned crop."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TEMPLATE: NDArray[np.float64] = np.array(
    [
        (38.2946, 51.6963),
        (73.5318, 51.5014),
        (56.0252, 71.7366),
        (41.5493, 92.3655),
        (70.7299, 92.2041),
    ]
)
"""(5, 2) x, y of eyes, nose and mouth corners in a 112 x 112 crop, image-left first (ArcFace)."""

TEMPLATE.setflags(write=False)
