"""What is to be done once the files of a template are written."""

from __future__ import annotations

from mlv.store.templates import DOCKER, GITHUB, GITLAB, KUBERNETES, OWNER, PIPELINE, REGISTRY

_BOTH = f"""\
  CODEOWNERS                 whoever decides what goes live, in place of {OWNER}
  .mlv/deploy                how a model comes to where it serves"""

NEXT = {
    GITHUB: f"""\
Look these over and commit them. Then (docs/pull-requests.md tells how):
{_BOTH}
  secret DVC_CONFIG_READ     what .dvc/config.local would hold, with the right to read
  environment retrain        for {{branch}} alone, with the secrets DVC_CONFIG_WRITE and
                             MLV_APP_PRIVATE_KEY and the variable MLV_APP_CLIENT_ID: a GitHub App
                             that may write contents and pull requests
  environment production     for {{branch}} alone, with what .mlv/deploy needs
  rules for {{branch}}
                             a pull request that is up to date, a review by code owners, and the
                             check "mlv review\"""",
    GITLAB: f"""\
Look these over and commit them. Then (docs/pull-requests.md tells how):
{_BOTH}
  variable DVC_CONFIG_READ   what .dvc/config.local would hold, with the right to read
  variable MLV_REVIEW_TOKEN  a project access token that comments: role Reporter, scope api
  protected variables        DVC_CONFIG_WRITE, and MLV_TOKEN: a project access token that proposes,
                             role Developer, scope write_repository
  pipeline schedules         on {{branch}}: one with MLV_JOB=retrain, one with MLV_JOB=rehearse
  rules for {{branch}}
                             a merge request whose pipeline succeeded, approved by code owners""",
    PIPELINE: """\
Look these over, put in your own training, and commit them. Then:
  dvc repro                  train; README.md tells the rest""",
    DOCKER: f"""\
Look these over and commit them. Then (docs/serving.md tells how):
  REGISTRY                   the repository's address, where it is still {REGISTRY}
  docker build --tag serving serving
                             with --secret id=netrc,src=... and id=dvc,src=... where the registry
                             asks who you are, and --build-arg MLV_PACKAGES=... for another mlv
  docker run --publish 127.0.0.1:8000:8000 serving""",
    KUBERNETES: f"""\
Look these over and commit them. Then (docs/serving.md tells how):
  REGISTRY                   the repository's address, where it is still {REGISTRY}
  image                      twice: that of mlv init --template docker, where you pushed it
  secret serving             with .netrc and config, where the registry asks who you are
  kubectl apply --filename serving/kubernetes.yaml""",
}
