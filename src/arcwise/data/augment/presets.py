"""Views for real photographs, complete: `recipe("faces").replace(augment=presets.faces())`.

The recipes of the small encoder do without the damage to lens, sensor and file: in a run of minutes
it cost recall on good pictures and brought none on damaged ones. These are for encoders and runs
that are large enough to learn both.
"""

from __future__ import annotations

from arcwise.data.augment.settings import Augment


def faces() -> Augment:
    """Aligned faces: a slight crop, other light, and what cameras far away make of a face.

    A fifth of the views lose resolution, as in AdaFace (arXiv 2204.00964, section 4.1).
    """
    return Augment(
        zoom=0.85,
        aspect=0.05,
        rotation=0.1,
        perspective=0.1,
        flip=0.5,
        brightness=0.2,
        contrast=0.2,
        saturation=0.2,
        hue=0.0,
        cutout=0.1,
        blur=0.1,
        low_resolution=0.2,
        jpeg=0.1,
    )


def products() -> Augment:
    """Things photographed by hand, anywhere in the picture, and studio pictures of them."""
    return Augment(
        zoom=0.4,
        aspect=0.15,
        rotation=0.35,
        perspective=0.3,
        flip=0.5,
        brightness=0.25,
        contrast=0.25,
        saturation=0.25,
        hue=0.2,
        backdrop=0.5,
        cutout=0.1,
        blur=0.1,
        low_resolution=0.1,
        jpeg=0.1,
    )
