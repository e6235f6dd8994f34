"""Plots as SVG, and a report as one HTML file that needs nothing else."""

from arcwise.report.html import render, write_report
from arcwise.report.sections import (
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
    "write_report",
]
