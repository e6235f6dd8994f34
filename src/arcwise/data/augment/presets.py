"""Complete augmentation for real photographs, damage by lens, sensor and file included.

The recipes of the small encoder do without that damage: in a run of minutes it cost recall on good
images and gained none on damaged ones. These presets are for encoders and runs that are large
enough to learn both.
"""

from __future__ import annotations

from arcwise.data.augment.ranges import Augment


def faces() -> Augment:
    """Return the settings for aligned faces: a slight crop, other light, low resolution.

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
    """Return the settings for things photographed by hand, and for studio images of them."""
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
