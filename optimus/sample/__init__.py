"""Synthetic data packages: made-up learners in real formats."""

from optimus.sample.plan import SamplePlan, SampleReport
from optimus.sample.writer import write_package

__all__ = ["SamplePlan", "SampleReport", "write_package"]
