"""Protocols on data sets: which of them fit the columns there are, and what they measure."""

from arcwise.protocols.plan import Plan, plan

__all__ = ["Plan", "plan"]
