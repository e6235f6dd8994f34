"""Plots as SVG, and a report as one HTML file that needs nothing else."""

from arcwise.report.html import render, shrunk, write_report
from arcwise.report.review import Question, write_review
from arcwise.report.sections import (
    CaptionedImage,
    Facts,
    ImageStrips,
    Number,
    Numbers,
    Plot,
    RateDifference,
    Section,
    Strip,
    Table,
)

__all__ = [
    "CaptionedImage",
    "Facts",
    "ImageStrips",
    "Number",
    "Numbers",
    "Plot",
    "Question",
    "RateDifference",
    "Section",
    "Strip",
    "Table",
    "render",
    "shrunk",
    "write_report",
    "write_review",
]
