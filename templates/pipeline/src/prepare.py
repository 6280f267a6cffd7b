"""Split scikit-learn's breast cancer data (it ships with the package) into train and test."""

from common import TARGET, TEST, TRAIN, read_params, write_data
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split


def main() -> None:
    """Write data/train.csv and data/test.csv, with the classes in equal shares."""
    params = read_params("prepare")
    frame = load_breast_cancer(as_frame=True).frame
    train, test = train_test_split(
        frame,
        test_size=params["test_size"],
        random_state=params["seed"],
        stratify=frame[TARGET],
    )
    write_data(train, TRAIN)
    write_data(test, TEST)


if __name__ == "__main__":
    main()
