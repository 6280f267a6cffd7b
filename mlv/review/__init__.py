"""A change to the registry, judged and reported before it is merged."""

from mlv.review.case import Look
from mlv.review.judging import review

__all__ = ["Look", "review"]
