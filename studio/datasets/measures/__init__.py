"""Figures of an utterance; what looks wrong with it beside the others of its set; and a grade for the whole."""

from studio.datasets.measures.figures import Measures, measure
from studio.datasets.measures.grading import Grade, grade
from studio.datasets.measures.suspecting import KINDS, Measured, Suspicion, suspicions

__all__ = ["KINDS", "Grade", "Measured", "Measures", "Suspicion", "grade", "measure", "suspicions"]
