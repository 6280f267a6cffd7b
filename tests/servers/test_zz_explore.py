import time, os, pytest
from pathlib import Path

def show(label, done, t):
    print(f"\n=== {label}: rc={done.returncode} {time.monotonic()-t:.1f}s\n{done.stdout}{done.stderr}", flush=True)

CASES = ["stranger", "reader", "dead", "cut_up", "cut_down", "gitstranger", "gitreader"]
@pytest.mark.parametrize("over", ["ssh", "s3", "http"])
def test_dvc_faults(share, mlv, write_model, proxy, over):
    g = {"ssh": "ssh", "s3": "http", "http": "http"}[over]
    shared = share(git=g, dvc=over)
    net = proxy(shared.dvc_server.port)
    ada = shared.clone("ada", dvc_port=net.port)
    big = ada.parent / "big.bin"; big.write_bytes(os.urandom(600_000))
    args = ("register", str(big), "--no-preprocessor", "--push")
    for who in ("stranger", "reader"):
        shared.credentials(ada, who, port=net.port)
        t = time.monotonic(); show(f"{over} {who}", mlv(ada, *args), t)
        t = time.monotonic(); show(f"{over} {who} push", mlv(ada, "push"), t)
    shared.credentials(ada, "writer", port=net.port)
    for after, way in ((100_000, "up"), (1500, "down"), (0, "up")):
        net.cut(after, way)
        t = time.monotonic(); show(f"{over} cut {after} {way}", mlv(ada, "push"), t)
        net.heal()
    print(shared.storage.objects())
    t = time.monotonic(); show(f"{over} healed", mlv(ada, "push"), t)
    # pull side
    bob = shared.clone("bob", dvc_port=net.port)
    for who in ("stranger",):
        shared.credentials(bob, who, port=net.port)
        t = time.monotonic(); show(f"{over} {who} pull", mlv(bob, "pull", "v1"), t)
        t = time.monotonic(); show(f"{over} {who} promote", mlv(bob, "promote", "v1", "--push"), t)
    shared.credentials(bob, "writer", port=net.port)
    for after, way in ((100_000, "down"), (0, "up")):
        net.cut(after, way)
        t = time.monotonic(); show(f"{over} pull cut {after} {way}", mlv(bob, "pull", "v1"), t)
        net.heal()
    t = time.monotonic(); show(f"{over} healed", mlv(bob, "pull", "v1"), t)
