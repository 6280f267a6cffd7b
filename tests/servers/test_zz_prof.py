import time, os, sys, subprocess, pytest, resource, collections
def test_one(share, write_model, monkeypatch):
    from mlv import ModelRegistry
    from mlv.store import process
    shared = share(git=os.environ.get("G","ssh"), dvc=os.environ.get("D","ssh"))
    ada = shared.clone("ada"); bob=shared.clone("bob")
    reg = ModelRegistry(ada, notify=lambda _: None)
    reg.register(write_model(ada.parent/"0.pkl", 0), None, push=True)
    real = process.run
    log = []
    def run(argv, **k):
        t=time.monotonic(); c=resource.getrusage(resource.RUSAGE_CHILDREN)
        r=real(argv, **k)
        c2=resource.getrusage(resource.RUSAGE_CHILDREN)
        log.append((time.monotonic()-t, c2.ru_utime+c2.ru_stime-c.ru_utime-c.ru_stime, " ".join(a for a in argv if not a.startswith("-"))[:60]))
        return r
    monkeypatch.setattr(process, "run", run)
    import cProfile, pstats
    reg = ModelRegistry(bob, notify=lambda _: None)
    c=time.process_time(); t=time.monotonic()
    p=cProfile.Profile(); p.enable()
    reg.register(write_model(bob.parent/"1.pkl", 1), None, push=True)
    p.disable()
    print("\nTOTAL wall", time.monotonic()-t, "own cpu", time.process_time()-c, "children cpu", sum(l[1] for l in log), len(log))
    for l in log: print("%.3f %.3f %s"%l)
    pstats.Stats(p).sort_stats("cumtime").print_stats(60)
