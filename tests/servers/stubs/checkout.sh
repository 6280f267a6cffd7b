# What actions/checkout leaves: one commit, of one branch, and no credentials.
set -euo pipefail
test "$PERSIST_CREDENTIALS" = false
cd "$GITHUB_WORKSPACE"
find . -mindepth 1 -delete
git init --quiet --initial-branch=stub .
git remote add origin "$STUB_URL"
git fetch --quiet --no-tags --depth=1 origin "+refs/heads/$REF:refs/remotes/origin/$REF"
git checkout --quiet -B "$REF" "refs/remotes/origin/$REF"
