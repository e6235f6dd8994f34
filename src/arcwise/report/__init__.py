"""Plots as SVG, and a report as one HTML file that needs nothing else."""

from arcwise.report.html import render, write_report
from arcwise.report.pictures import shrunk
from arcwise.report.sections import (
    Difference,
    Facts,
    Number,
    Numbers,
    Picture,
    Pictures,
    Plot,
    Section,
    Strip,
    Table,
)

__all__ = [
    "Difference",
    "Facts",
    "Number",
    "Numbers",
    "Picture",
    "Pictures",
    "Plot",
    "Section",
    "Strip",
    "Table",
    "render",
    "shrunk",
    "write_report",
]
