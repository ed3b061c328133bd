"""Folders as runs leave them, with numbers of one's own: run.json, metrics.json, and logs as Dassl wrote them."""

import json


def write_run(
    root, phase, label, trainer, seed, value, *, name="Caltech101", shots=16, config="few_shot", backbone="ViT-B/16",
    settings=(), half="all", classes=None, tested=None, path="", targets=(), model=None, state="done", digests=None,
    results="test", metrics=True, mode=None, timing=("2026-01-01T00:00:00", "2026-01-01T01:00:00"), more=(),
):  # fmt: skip
    """One run; returns its folder. settings: (key, value) beside the usual. model: the checkpoint that it tested."""
    folder = root / phase / label / f"shots_{shots}" / trainer / config / f"seed{seed}"
    folder.mkdir(parents=True)
    flat = {"OPTIM.MAX_EPOCH": 50, "OPTIM.LR": 0.002, "TEST.FINAL_MODEL": "last_step", **dict(settings)}
    flat |= {"DATASET.NAME": name, "DATASET.NUM_SHOTS": shots, "DATASET.SUBSAMPLE_CLASSES": half, "SEED": seed}
    flat |= {"DATASET.PATH": path, "DATASET.TARGET_DOMAINS": list(targets), "TRAINER.NAME": trainer}
    flat |= {"MODEL.BACKBONE.NAME": backbone, "OUTPUT_DIR": str(folder)}
    nested = {}
    for key, one in flat.items():
        *above, last = key.split(".")
        node = nested
        for part in above:
            node = node.setdefault(part, {})
        node[last] = one
    split = {"digest": f"split{seed}"} | ({"test": tested} if tested is not None else {}) | (digests or {})
    record = {
        "state": state, "mode": mode or ("evaluate" if model else "train"), "epoch": 1, "epochs": 1, "error": None,
        "identity": {"config": "", "code": "", "data": "", "model": model}, "split": split, "config": nested,
        "timing": {"started": timing[0], "finished": timing[1], "seconds": 1.0, "sessions": []},
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(record))
    if metrics:
        found = {"accuracy": value, **dict(more)}
        content = {"results": {results: found}, "history": []} | ({"classes": classes} if classes else {})
        (folder / "metrics.json").write_text(json.dumps(content))
    return folder


def checkpoint(folder, name="model.pth.tar-50"):
    return {"path": str(folder / "prompt_learner" / name), "digest": "0"}
