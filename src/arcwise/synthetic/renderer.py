"""The renderer: identity, shot and domain in; a photo and the truth about it out."""

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
from arcwise.synthetic.design import Design, design
from arcwise.synthetic.layers import Canvas, Layer, Plane
from arcwise.synthetic.light import ball, room
from arcwise.synthetic.nuisance import DOMAINS, Nuisance, draw_nuisance, override
from arcwise.synthetic.paint import Skin, paint
from arcwise.synthetic.scene import world

# Things are drawn this much larger and averaged down, for smooth edges; at one and a half, bilinear
# weights average every pixel.
_OVERSAMPLE = 1.5
_MARGIN = 0.3  # of the photo's side: drawn around it, so that what the edge cuts off is measured


@dataclass(frozen=True)
class Photo:
    """One photo.

    Attributes:
        image: (H, W, 3) uint8 RGB, as a reader of the JPEG sees it.
        identity: what it shows, such as "product-00017".
        domain: "studio" or "shop".
        nuisance: how it was taken.
        jpeg: the file.
    """

    image: Canvas
    identity: str
    domain: str
    nuisance: Nuisance
    jpeg: bytes


def identity_name(identity: int) -> str:
    """The name of an identity outside: "product-00017"."""
    return f"product-{identity:05d}"


class Renderer:
    """Photos of things that do not exist, with everything about them known.

    A photo depends on (seed, size, identity, shot, domain) and on nothing else: not on what was
    rendered before, and not on how many identities there are.

    Args:
        seed: which world; another seed has other products.
        size: side of the photos in pixels, at least 32.
        skins: how many identities keep their painted textures in memory.

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
        self._world = world(self.seed, self.size)
        self._skin = lru_cache(maxsize=skins)(self._paint)

    def __reduce__(self) -> tuple[type[Renderer], tuple[int, int, int]]:
        # A worker process paints for itself: what is kept here is many times what it takes to say.
        return type(self), (self.seed, self.size, self._skin.cache_info().maxsize or 0)

    def design(self, identity: int) -> Design:
        """What an identity looks like."""
        return design(self.seed, self._checked(identity, "identity"))

    def photo(
        self,
        identity: int,
        shot: int = 0,
        domain: str = "shop",
        nuisance: Mapping[str, float] | None = None,
    ) -> Photo:
        """One photo of one identity.

        Args:
            identity: its number, from 0.
            shot: which photo of it, from 0.
            domain: "studio" (white ground, frontal, clean) or "shop".
            nuisance: values to set instead of drawing them, such as {"yaw": 0.5}; the others stay
                as they are drawn, which makes sweeps over one nuisance possible.

        Raises:
            ArcwiseError: for a negative number, an unknown domain or an unknown nuisance.
        """
        data, how = self.file(identity, shot, domain, nuisance)
        return Photo(camera.decode(data), identity_name(identity), domain, how, data)

    def file(
        self,
        identity: int,
        shot: int = 0,
        domain: str = "shop",
        nuisance: Mapping[str, float] | None = None,
    ) -> tuple[bytes, Nuisance]:
        """The JPEG file of the same photo, not decoded, and its nuisances."""
        identity, shot = self._checked(identity, "identity"), self._checked(shot, "shot")
        if domain not in DOMAINS:
            raise ArcwiseError(
                f"got domain {domain!r}; expected one of {', '.join(DOMAINS)}; choose one of them"
            )
        rng = np.random.default_rng((self.seed, 10 + DOMAINS.index(domain), identity, shot))
        how = draw_nuisance(rng, domain, self.size)
        if nuisance:
            how = override(how, nuisance)
        clear_view = nuisance is not None and nuisance.get("occlusion") == 0
        light, hidden = self._scene(identity, domain, how, rng, clear_view)
        how = replace(how, occlusion=hidden)
        return camera.encode(camera.expose(light, how, rng), how.jpeg), how

    def photos(
        self, identities: Iterable[int], shots: int | Iterable[int] = 1, domain: str = "shop"
    ) -> Iterator[Photo]:
        """Photos of many identities, one after the other; `shots` is how many of each, or which."""
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
        this = design(self.seed, identity)
        return this, paint(this, 1.6 * self.size)

    def _thing(
        self, identity: int, how: Nuisance, rng: np.random.Generator, studio: bool
    ) -> tuple[Layer, tuple[float, float]]:
        """The thing as a layer on the photo, and the pixel of its foot."""
        this, skin = self._skin(identity)
        answers = ball(room(rng, how.light, studio))
        crumple = int(rng.integers(9409))
        drawn = round(self.size * (1 + 2 * _MARGIN) * _OVERSAMPLE / 6) * 6
        middle = drawn / 2 / _OVERSAMPLE
        pose = Pose(
            how.yaw, how.pitch, how.roll, how.scale * self.size * _OVERSAMPLE,
            drawn / 2 + how.shift_x * self.size * _OVERSAMPLE,
            drawn / 2 + how.shift_y * self.size * _OVERSAMPLE,
            how.perspective,
        )  # fmt: skip
        layer = draw(this, skin, pose, answers, (drawn, drawn), crumple)
        offset = middle - self.size / 2
        under = this.depth * 0.5 * np.sin(max(how.pitch, 0.0)) * 0.6
        foot = pose.on_picture(
            np.zeros(1), np.array([this.height / 2 * np.cos(how.pitch) + under])
        )[0]
        at = float(foot[0] / _OVERSAMPLE - offset), float(foot[1] / _OVERSAMPLE - offset)
        if layer is None:  # pushed out of the picture by a nuisance the caller set
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
        self, identity: int, domain: str, how: Nuisance, rng: np.random.Generator, clear_view: bool
    ) -> tuple[Plane, float]:
        """The light of a photo (size, size, 3), and the fraction of the thing that is hidden."""
        thing, foot = self._thing(identity, how, rng, domain == "studio")
        mask = scene.coverage_on(thing, self.size)
        if domain == "studio":
            ground = scene.studio(self.size, foot, thing, mask, how)
            scene.compose(ground, thing, [], [], 1.0)
            return ground, scene.hidden(thing, [], self.size)
        this = scene.plan(rng, how.clutter)
        ground = scene.shop(self.size, this, self._world.plate(this.plate), foot, mask, how)
        behind, before = scene.fronts(self.size, this, self._world, thing, how)
        if clear_view:
            before = []
        scene.compose(ground, thing, behind, before, this.dim)
        return ground, scene.hidden(thing, before, self.size)
