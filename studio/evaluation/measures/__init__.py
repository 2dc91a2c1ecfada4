"""Figures of takes: what they sound like beside what they should."""

from studio.evaluation.measures.figures import Figures, common_model, mean_of
from studio.evaluation.measures.listeners import Listeners
from studio.evaluation.measures.measuring import measure, measure_all
from studio.evaluation.measures.subject import Subject

__all__ = ["Figures", "Listeners", "Subject", "common_model", "mean_of", "measure", "measure_all"]
