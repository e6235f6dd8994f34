"""Rendered photos of products that do not exist: many identities, every nuisance recorded.

>>> from arcwise.synthetic import Renderer
>>> photo = Renderer(seed=0, size=96).photo(identity=17, shot=3, domain="shop")
>>> photo.image.shape, photo.identity
((96, 96, 3), 'product-00017')
"""

from arcwise.synthetic.dataset import render_dataset
from arcwise.synthetic.design import Design, family_of
from arcwise.synthetic.nuisance import DOMAINS, Nuisance
from arcwise.synthetic.renderer import Photo, Renderer, identity_name

__all__ = [
    "DOMAINS",
    "Design",
    "Nuisance",
    "Photo",
    "Renderer",
    "family_of",
    "identity_name",
    "render_dataset",
]
