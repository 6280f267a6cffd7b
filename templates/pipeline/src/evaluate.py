"""Measure the model: on the test part, and by cross-validation within the training part."""

import json

import joblib
from common import METRICS, MODEL, PREPROCESSOR, TEST, TRAIN, read_data, read_params
from sklearn.base import ClassifierMixin, TransformerMixin, clone
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline


def held_out_scores(model: ClassifierMixin, preprocessor: TransformerMixin) -> dict[str, float]:
    """Return scores on data that neither the model nor the preprocessor has seen."""
    features, target = read_data(TEST)
    scaled = preprocessor.transform(features)
    predicted = model.predict(scaled)
    return {
        "roc_auc": roc_auc_score(target, model.predict_proba(scaled)[:, 1]),
        "accuracy": accuracy_score(target, predicted),
        "recall": recall_score(target, predicted),
        "precision": precision_score(target, predicted),
        "f1": f1_score(target, predicted),
    }


def cv_scores(model: ClassifierMixin, preprocessor: TransformerMixin) -> dict[str, float]:
    """Return mean and standard deviation of ROC AUC over the folds."""
    params = read_params("evaluate")
    features, target = read_data(TRAIN)
    # Both are fitted anew in every fold: a scaler that saw the whole part would leak into it.
    pipeline = make_pipeline(clone(preprocessor), clone(model))
    folds = StratifiedKFold(params["folds"], shuffle=True, random_state=params["seed"])
    scores = cross_val_score(pipeline, features, target, cv=folds, scoring="roc_auc")
    return {"cv_roc_auc_mean": scores.mean(), "cv_roc_auc_std": scores.std()}


def main() -> None:
    """Write metrics.json, a flat object of numbers with four decimals."""
    model, preprocessor = joblib.load(MODEL), joblib.load(PREPROCESSOR)
    scores = held_out_scores(model, preprocessor) | cv_scores(model, preprocessor)
    metrics = {name: round(float(value), 4) for name, value in scores.items()}
    METRICS.write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
