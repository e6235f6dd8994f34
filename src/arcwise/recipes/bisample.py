"""The recipe for two images an identity: a passport photo and a snapshot, a catalogue and a shelf.

Classification, verification, classification (CVC) as Zhu et al. have it: Large-scale Bisample
Learning on ID versus Spot Face Recognition, IJCV 2019, arXiv 1806.03018. The paper's text could not
be read. The stages are those of its abstract; every number is from rendered products, on which the
recipe was settled (`studies/bisample.py SETS settle`).
"""

from __future__ import annotations

from arcwise.recipes.small import products
from arcwise.training.config import TrainConfig

DEEP, VERIFY, FINE = 1000, 400, 600
"""Steps of the three stages."""


def bisample() -> TrainConfig:
    """Return the recipe for a data set with a column `domain` of two values.

    1. Classification of the identities with more than two images, the deep set.
    2. Verification: triplets whose positive and negative are of the other domain, the negative
       semi-hard (the hardest ones learnt less), in batches of one image of either domain from each
       identity.
    3. Fine classification of the identities with images of both domains: class centres that start
       at the means of stage 2, and for negatives the classes that dominate them (DP-softmax).
    """
    config = products().replace(data={"domain_balance": 0.0}, run={"steps": DEEP + VERIFY + FINE})
    pairs = {"sampling": "bisample"}
    return config.replace(
        stages=[
            {"steps": DEEP, "identities": "deep"},
            {
                "steps": VERIFY,
                "identities": "paired",
                "objective": {"loss": "triplet", "triplet": {"across_domains": True}},
                "data": pairs,
            },
            {
                "steps": FINE,
                "identities": "paired",
                "objective": {
                    "negatives": "dominant",
                    "centre_optimiser": "fused",
                    "centres_start": "class-means",
                    "margin_from": 0.0,
                    "margin_full": 0.0,
                },
                "data": pairs,
                "optim": {"lr": 0.005},
            },
        ]
    )
