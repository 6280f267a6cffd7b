import time, os, pytest
from collections import Counter
from tests.servers.crowd import crowd

@pytest.mark.parametrize("gitover,dvcover", [("ssh","ssh"),("http","s3")])
def test_reg(share, mlv, write_model, git, gitover, dvcover):
    shared = share(git=gitover, dvc=dvcover)
    parts = []
    n = int(os.environ.get("NCL", 8)); m = int(os.environ.get("NPR", 8))
    for c in range(n):
        clone = shared.clone(f"p{c}")
        parts.append((clone, [["register", str(write_model(clone.parent / f"{c}-{k}.pkl", c*8+k)), "--no-preprocessor", "--push", "--quiet"] for k in range(m)]))
    t = time.monotonic()
    os.environ["GIT_TRACE"]="/tmp/servers2/trace"; ended = crowd(parts, 600)
    print(f"\n=== {gitover} {dvcover} {time.monotonic()-t:.1f}s", Counter(e.code for e in ended))
    for e in ended:
        if e.code: print(e.code, e.stdout, e.stderr)
    print(sorted(int(t.split("-v")[1]) for t in git(shared.bare, "tag").split()))
    print(sorted(e.stdout.strip() for e in ended))
    import subprocess
