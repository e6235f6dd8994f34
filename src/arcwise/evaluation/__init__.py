"""Protocols: pure functions from scores and labels to a frozen result that prints itself."""

from arcwise.evaluation.angles import (
    Angles,
    CentreAngles,
    angles,
    angles_from_embeddings,
    centre_angles,
)
from arcwise.evaluation.calibration import Threshold, calibrate
from arcwise.evaluation.clustering import Clustering, clustering
from arcwise.evaluation.comparison import Comparison, Difference, McNemar, compare
from arcwise.evaluation.detection_gain import TwoScores, detection_gain
from arcwise.evaluation.embedding_pairs import (
    all_pairs,
    pair_similarity,
    verification_from_embeddings,
)
from arcwise.evaluation.folds import Val
from arcwise.evaluation.gallery_calibration import calibrate_in_gallery
from arcwise.evaluation.groups import Groups, by_group
from arcwise.evaluation.identification import (
    Identification,
    identification,
    identification_from_embeddings,
)
from arcwise.evaluation.intervals import Rate
from arcwise.evaluation.probability import ScoreMap, calibrate_probability, score_to_probability
from arcwise.evaluation.rejection import ErrorVersusReject, error_versus_reject
from arcwise.evaluation.reliability import Reliability, reliability
from arcwise.evaluation.rerank import KReciprocal, QueryExpansion
from arcwise.evaluation.retrieval import MateGap, Retrieval, retrieval
from arcwise.evaluation.run_comparison import (
    MetricComparison,
    PairedDifference,
    RunComparison,
    compare_runs,
)
from arcwise.evaluation.search_calibration import (
    calibrate_search,
    calibrate_searches,
    search_rates,
)
from arcwise.evaluation.search_threshold import (
    INTERVAL_NOT_KNOWN,
    SearchThreshold,
    describe_claims,
    describe_search,
)
from arcwise.evaluation.templates import Templates
from arcwise.evaluation.two_galleries import TwoGalleries, two_galleries
from arcwise.evaluation.verification import Verification, verification

__all__ = [
    "INTERVAL_NOT_KNOWN",
    "Angles",
    "CentreAngles",
    "Clustering",
    "Comparison",
    "Difference",
    "ErrorVersusReject",
    "Groups",
    "Identification",
    "KReciprocal",
    "MateGap",
    "McNemar",
    "MetricComparison",
    "PairedDifference",
    "QueryExpansion",
    "Rate",
    "Reliability",
    "Retrieval",
    "RunComparison",
    "ScoreMap",
    "SearchThreshold",
    "Templates",
    "Threshold",
    "TwoGalleries",
    "TwoScores",
    "Val",
    "Verification",
    "all_pairs",
    "angles",
    "angles_from_embeddings",
    "by_group",
    "calibrate",
    "calibrate_in_gallery",
    "calibrate_probability",
    "calibrate_search",
    "calibrate_searches",
    "centre_angles",
    "clustering",
    "compare",
    "compare_runs",
    "describe_claims",
    "describe_search",
    "detection_gain",
    "error_versus_reject",
    "identification",
    "identification_from_embeddings",
    "pair_similarity",
    "reliability",
    "retrieval",
    "score_to_probability",
    "search_rates",
    "two_galleries",
    "verification",
    "verification_from_embeddings",
]
