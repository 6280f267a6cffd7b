"""MLflow: shown what mlv knows, and logged to from training.

mlv stays the source of truth. What is exported goes one way, and says in tags that begin with
``mlv.`` what it is; versions that are not mlv's are left alone.
"""

from mlv.bridges.mlflow.export import Exported, Order, export
from mlv.bridges.mlflow.stages import transition_model_stage
from mlv.bridges.mlflow.training import log_to_mlflow

__all__ = ["Exported", "Order", "export", "log_to_mlflow", "transition_model_stage"]
