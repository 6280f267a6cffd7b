"""Rehearsing a rollback: every step of it but the rollback."""

from __future__ import annotations

from mlv.drill.rehearsal import Terms, drill

__all__ = ["Terms", "drill"]
