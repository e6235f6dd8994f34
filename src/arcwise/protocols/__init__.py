"""Protocols on data sets: which of them fit the columns that a data set has, and their results."""

from arcwise.protocols.plan import EvaluationPlan, plan_evaluation

__all__ = ["EvaluationPlan", "plan_evaluation"]
