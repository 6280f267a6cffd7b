"""Load an mlv version's model for MLflow; goes along with the model, so needs no mlv.

Changed, it needs another name: a process that loads two versions imports it once.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class _Model:
    """A model as MLflow asks it: by ``predict``, or by calling it if it has none."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def predict(self, data: Any) -> Any:
        """Give the model's answer."""
        ask = getattr(self.model, "predict", None) or self.model
        return ask(data)


class _Onnx:
    """An ONNX session that predicts as other models do."""

    def __init__(self, session: Any) -> None:
        self.session = session

    def predict(self, data: Any) -> Any:
        """Give the first output; several inputs are a mapping of arrays."""
        inputs = self.session.get_inputs()
        given = data if isinstance(data, dict) else {inputs[0].name: getattr(data, "values", data)}
        return self.session.run(None, given)[0]


def _load_pyfunc(path: str) -> _Model:
    """Load the model of a folder; MLflow calls this by its name."""
    folder = Path(path)
    name = json.loads((folder / "mlv_model.json").read_text(encoding="utf-8"))["model"]
    suffix = Path(name).suffix.lower()
    file = str(folder / name)
    if suffix in (".pkl", ".pickle", ".joblib"):
        import joblib

        return _Model(joblib.load(file))
    if suffix == ".onnx":
        import onnxruntime  # type: ignore[import-not-found]  # needed for such a model alone

        providers = ["CPUExecutionProvider"]
        return _Model(_Onnx(onnxruntime.InferenceSession(file, providers=providers)))
    if suffix == ".skops":
        import skops.io  # type: ignore[import-not-found]  # needed for such a model alone

        return _Model(skops.io.load(file))
    raise ValueError(f"{name} is what was registered, but what loads it only its authors know")
