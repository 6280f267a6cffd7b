# What docs/serving.md starts from, in an empty home folder: the repository `payments` with a model
# `fraud`, trained by a DVC pipeline on data that DVC keeps, two versions with a sample, and the
# second of them live. It is published: Git in payments.git, bytes in `storage`.
set -e
cd
git config --global user.name "Ada Lovelace"
git config --global user.email ada@example.com
git config --global init.defaultBranch main
git config --global advice.detachedHead false
git init --quiet --bare payments.git
git init --quiet payments
cd payments
git remote add origin ~/payments.git
mlv init --quiet
dvc remote add --quiet --default storage ~/storage

cat > train.py <<'END'
import json

import joblib
import pandas
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

data = pandas.read_csv("payments.csv")
inputs, frauds = data[["amount", "hour"]], data["fraud"]
scaler = StandardScaler().fit(inputs)
model = LogisticRegression().fit(scaler.transform(inputs), frauds)
chances = model.predict_proba(scaler.transform(inputs))[:, 1]
joblib.dump(model, "model.pkl")
joblib.dump(scaler, "scaler.pkl")
with open("metrics.json", "w") as file:
    json.dump({"roc_auc": round(float(roc_auc_score(frauds, chances)), 4)}, file)
END
cat > dvc.yaml <<'END'
stages:
  train:
    cmd: python train.py
    deps: [payments.csv, train.py]
    outs: [model.pkl, scaler.pkl]
    metrics:
      - metrics.json:
          cache: false
END
printf 'amount,hour\n12.5,14\n250.0,3\n80.0,23\n' > sample.csv

for days in 30 90; do
    python - "$days" <<'END'
import random
import sys

days = int(sys.argv[1])
chance = random.Random(days)
with open("payments.csv", "w") as file:
    print("amount,hour,fraud", file=file)
    for _ in range(20 * days):
        fraud = chance.random() < 0.2
        amount = round(abs(chance.gauss(120 if fraud else 40, 25)), 2)
        print(f"{amount},{chance.randrange(24)},{int(fraud)}", file=file)
END
    dvc add --quiet payments.csv
    dvc repro --quiet
    git add --all
    git commit --quiet --message "Train on $days days"
    mlv register model.pkl --preprocessor scaler.pkl --metrics metrics.json --sample sample.csv \
        --model fraud --push --quiet
done
git push --quiet --set-upstream origin main
mlv promote v1 --push --quiet --reason "The first model"
mlv promote v2 --push --quiet --reason "Trained on three times the data"
