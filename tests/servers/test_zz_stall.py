import time, os, pytest, subprocess, sys

@pytest.mark.parametrize("over", ["ssh", "s3", "http"])
@pytest.mark.parametrize("after", [0, 200_000])
def test_stall(share, mlv, write_model, proxy, over, after):
    shared = share(git="ssh", dvc=over)
    net = proxy(shared.dvc_server.port)
    ada = shared.clone("ada", dvc_port=net.port)
    big = ada.parent / "big.bin"; big.write_bytes(os.urandom(600_000))
    mlv(ada, "register", str(big), "--no-preprocessor")
    net.stall(after, "up")
    t = time.monotonic()
    p = subprocess.Popen([sys.executable, "-P", "-m", "mlv", "push"], cwd=ada, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        out, err = p.communicate(timeout=200)
        print(f"\n=== {over} {after} rc={p.returncode} {time.monotonic()-t:.1f}\n{out}{err}", flush=True)
    except subprocess.TimeoutExpired:
        p.kill(); out, err = p.communicate()
        print(f"\n=== {over} {after} HUNG {time.monotonic()-t:.1f}\n{out}{err}", flush=True)
    net.heal()
