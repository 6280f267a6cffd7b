"""What the stages share: where things lie, the parameters and the shape of the data."""

from pathlib import Path
from typing import Any

import pandas as pd
import yaml

PARAMS = Path(__file__).resolve().parents[1] / "params.yaml"
TRAIN = Path("data/train.csv")
TEST = Path("data/test.csv")
MODEL = Path("artifacts/model.pkl")
PREPROCESSOR = Path("artifacts/preprocessor.pkl")
METRICS = Path("metrics.json")
TARGET = "target"


def read_params(stage: str) -> dict[str, Any]:
    """Return the section of params.yaml that belongs to a stage."""
    section: dict[str, Any] = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))[stage]
    return section


def write_data(frame: pd.DataFrame, path: Path) -> None:
    """Write features and target as CSV, the same bytes on every system."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, index=False, lineterminator="\n")


def read_data(path: Path) -> tuple[pd.DataFrame, "pd.Series[int]"]:
    """Return features and target of a data file, every number as it was written."""
    # pandas' default parser is faster and may be off in the last bit.
    frame = pd.read_csv(path, float_precision="round_trip")
    return frame.drop(columns=TARGET), frame[TARGET]
