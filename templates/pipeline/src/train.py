"""Fit the preprocessor and the model that params.yaml chooses."""

from typing import Any

import joblib
from common import MODEL, PREPROCESSOR, TRAIN, read_data, read_params
from sklearn.base import ClassifierMixin
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.preprocessing import StandardScaler

KINDS = {
    "random_forest": RandomForestClassifier,
    "gradient_boosting": GradientBoostingClassifier,
}


def build(params: dict[str, Any]) -> ClassifierMixin:
    """Return an unfitted model of the chosen kind, with that kind's hyperparameters."""
    kind = params["model"]
    if kind not in KINDS:
        raise SystemExit(f"train.model is {kind!r}; choose one of: {', '.join(KINDS)}")
    return KINDS[kind](random_state=params["seed"], **params[kind])


def main() -> None:
    """Fit both on the training part; write artifacts/model.pkl and artifacts/preprocessor.pkl."""
    model = build(read_params("train"))
    features, target = read_data(TRAIN)
    preprocessor = StandardScaler().fit(features)
    model.fit(preprocessor.transform(features), target)
    MODEL.parent.mkdir(parents=True, exist_ok=True)
    joblib.dump(model, MODEL)
    joblib.dump(preprocessor, PREPROCESSOR)


if __name__ == "__main__":
    main()
