"""The renderer: from identity, shot and domain to a photo and its nuisances."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import index

import cv2
import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.synthetic import camera, scene
from arcwise.synthetic.bodies import draw
from arcwise.synthetic.camera import Pose
from arcwise.synthetic.design import Design, design_of
from arcwise.synthetic.layers import Canvas, Layer, Plane
from arcwise.synthetic.light import render_matcap, room
from arcwise.synthetic.nuisance import DOMAINS, Nuisance, draw_nuisance, override
from arcwise.synthetic.paint import Skin, paint_skin
from arcwise.synthetic.scene import shared_world

# Products are drawn larger by this factor and averaged down, for smooth edges. At 1.5, bilinear
# weights average every pixel.
_OVERSAMPLE = 1.5
_MARGIN = 0.3  # of the photo's side: also drawn, to measure what the edge cuts off


@dataclass(frozen=True)
class Photo:
    """One photo.

    Attributes:
        image: (H, W, 3) uint8 RGB, as a reader of the JPEG sees it.
        identity: of the product, such as "product-00017".
        domain: "studio" or "shop".
        nuisance: all nuisances of the photo.
        jpeg: the file.
    """

    image: Canvas
    identity: str
    domain: str
    nuisance: Nuisance
    jpeg: bytes


def identity_name(identity: int) -> str:
    """Return the name of an identity, such as "product-00017"."""
    return f"product-{identity:05d}"


class Renderer:
    """Photos of products that do not exist, with their nuisances.

    A photo depends on (seed, size, identity, shot, domain) only, not on what was rendered before.

    Args:
        seed: of all products; another seed has others.
        size: side of the photos in pixels, at least 32.
        skins: number of identities whose textures stay in memory.

    Raises:
        ArcwiseError: for a size or seed out of range.
    """

    def __init__(self, seed: int = 0, size: int = 96, skins: int = 256) -> None:
        if not 32 <= size <= 1024:
            raise ArcwiseError(
                f"got size {size}; expected 32 to 1024 pixels; choose a size in that range"
            )
        if seed < 0:
            raise ArcwiseError(f"got seed {seed}; expected 0 or more; choose another seed")
        self.seed = index(seed)
        self.size = index(size)
        self._world = shared_world(self.seed, self.size)
        self._skin = lru_cache(maxsize=skins)(self._paint)

    def __reduce__(self) -> tuple[type[Renderer], tuple[int, int, int]]:
        # A worker process paints anew: the caches are large, and the arguments determine them.
        return type(self), (self.seed, self.size, self._skin.cache_info().maxsize or 0)

    def design(self, identity: int) -> Design:
        """Return the design of an identity."""
        return design_of(self.seed, self._checked(identity, "identity"))

    def photo(
        self,
        identity: int,
        shot: int = 0,
        domain: str = "shop",
        nuisance: Mapping[str, float] | None = None,
    ) -> Photo:
        """Return one photo of one identity.

        Args:
            identity: its number, from 0.
            shot: which photo of it, from 0.
            domain: "studio" (white ground, frontal, clean) or "shop".
            nuisance: values to set, such as {"yaw": 0.5}; the others stay as drawn.

        Raises:
            ArcwiseError: for a negative number, an unknown domain or an unknown nuisance.
        """
        data, truth = self.file(identity, shot, domain, nuisance)
        return Photo(camera.decode(data), identity_name(identity), domain, truth, data)

    def file(
        self,
        identity: int,
        shot: int = 0,
        domain: str = "shop",
        nuisance: Mapping[str, float] | None = None,
    ) -> tuple[bytes, Nuisance]:
        """Return the JPEG file of the same photo, and its nuisances."""
        identity, shot = self._checked(identity, "identity"), self._checked(shot, "shot")
        if domain not in DOMAINS:
            raise ArcwiseError(
                f"got domain {domain!r}; expected one of {', '.join(DOMAINS)}; choose one of them"
            )
        rng = np.random.default_rng((self.seed, 10 + DOMAINS.index(domain), identity, shot))
        truth = draw_nuisance(rng, domain, self.size)
        if nuisance:
            truth = override(truth, nuisance)
        clear_view = nuisance is not None and nuisance.get("occlusion") == 0
        light, hidden = self._scene(identity, domain, truth, rng, clear_view)
        truth = replace(truth, occlusion=hidden)
        return camera.encode(camera.expose(light, truth, rng), truth.jpeg), truth

    def photos(
        self, identities: Iterable[int], shots: int | Iterable[int] = 1, domain: str = "shop"
    ) -> Iterator[Photo]:
        """Yield photos of many identities; `shots` is a number per identity, or a list."""
        which = range(shots) if isinstance(shots, int) else tuple(shots)
        for identity in identities:
            for shot in which:
                yield self.photo(identity, shot, domain)

    @staticmethod
    def _checked(number: int, what: str) -> int:
        if number < 0:
            raise ArcwiseError(f"got {what} {number}; expected 0 or more; number them from 0")
        return index(number)

    def _paint(self, identity: int) -> tuple[Design, Skin]:
        design = design_of(self.seed, identity)
        return design, paint_skin(design, 1.6 * self.size)

    def _product(
        self, identity: int, nuisance: Nuisance, rng: np.random.Generator, studio: bool
    ) -> tuple[Layer, tuple[float, float]]:
        """Return the product as a layer on the photo, and the pixel of its foot."""
        design, skin = self._skin(identity)
        matcap = render_matcap(room(rng, nuisance.light, studio))
        crumple = int(rng.integers(9409))
        drawn = round(self.size * (1 + 2 * _MARGIN) * _OVERSAMPLE / 6) * 6
        middle = drawn / 2 / _OVERSAMPLE
        pose = Pose(
            nuisance.yaw, nuisance.pitch, nuisance.roll, nuisance.scale * self.size * _OVERSAMPLE,
            drawn / 2 + nuisance.shift_x * self.size * _OVERSAMPLE,
            drawn / 2 + nuisance.shift_y * self.size * _OVERSAMPLE,
            nuisance.perspective,
        )  # fmt: skip
        layer = draw(design, skin, pose, matcap, (drawn, drawn), crumple)
        offset = middle - self.size / 2
        under = design.depth * 0.5 * np.sin(max(nuisance.pitch, 0.0)) * 0.6
        foot = pose.on_canvas(
            np.zeros(1), np.array([design.height / 2 * np.cos(nuisance.pitch) + under])
        )[0]
        at = float(foot[0] / _OVERSAMPLE - offset), float(foot[1] / _OVERSAMPLE - offset)
        if layer is None:  # outside the canvas, by a nuisance that the caller set
            return Layer(np.zeros((2, 2, 4), np.float32), 0, 0), at
        shape = (
            round(layer.light.shape[1] / _OVERSAMPLE),
            round(layer.light.shape[0] / _OVERSAMPLE),
        )
        small = cv2.resize(layer.light, shape, interpolation=cv2.INTER_LINEAR)
        top, left = (
            round(layer.top / _OVERSAMPLE - offset),
            round(layer.left / _OVERSAMPLE - offset),
        )
        return Layer(small, top, left), at

    def _scene(
        self,
        identity: int,
        domain: str,
        nuisance: Nuisance,
        rng: np.random.Generator,
        clear_view: bool,
    ) -> tuple[Plane, float]:
        """Return the light of a photo (size, size, 3), and the hidden fraction of the product."""
        product, foot = self._product(identity, nuisance, rng, domain == "studio")
        mask = scene.coverage_on(product, self.size)
        if domain == "studio":
            ground = scene.studio(self.size, foot, product, mask, nuisance)
            scene.compose(ground, product, [], [], 1.0)
            return ground, scene.hidden(product, [], self.size)
        surroundings = scene.draw_surroundings(rng, nuisance.clutter)
        ground = scene.shop(
            self.size, surroundings, self._world.plate(surroundings.plate), foot, mask, nuisance
        )
        behind, before = scene.fronts(self.size, surroundings, self._world, product, nuisance)
        if clear_view:
            before = []
        scene.compose(ground, product, behind, before, surroundings.dim)
        return ground, scene.hidden(product, before, self.size)
