"""What a run would ignore is refused, with what to do instead, and leaves nothing behind."""

import re

import pytest

from craft.trainers import launch


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--load-epoch", "3"], "add --eval-only"),
        (["--model-dir", "somewhere"], "add --eval-only"),
        (["--eval-only", "--load-epoch", "3"], "--model-dir"),
        (["--eval-only", "--model-dir", "x", "--resume", "y"], "--resume is for training"),
        (["--eval-only", "--no-train"], "leave one of them out"),
        (["--resume", "nowhere"], "no run has left anything there"),
        (["--resume", "{empty}"], "no run has left anything there"),
        (["--head", "mlp"], "CoOp has no head"),
        (["MODEL.HEAD.NAME", "mlp"], "CoOp has no head"),
        (["--source-domains", "photo"], "Digits has no domains"),
        (["--target-domains", "photo"], "Digits has no domains"),
        (["DATASET.CLASSNAMES", "names.txt"], "Digits does not read it"),
        (["DATASET.PATH", "images"], "Digits does not read it"),
        (["TRAINER.COOP.N_CTX", "8"], 'set CTX_INIT "" or N_CTX 4'),
        (["TEST.FINAL_MODEL", "best-val"], "did you mean best_val?"),
        (["TEST.SPLIT", "nope"], "it can be test, val"),
        (["SEED", "-2"], "from -1 to 4294967295"),
        (["INPUT.SIZE", "("], "expected tuple"),
        (["--transforms", "("], "it must be names"),
        (["DATASET.TEMPLATE", "a\nphoto of a {}."], "without control characters"),
    ],
    ids=lambda value: "_".join(value).strip() if isinstance(value, list) else "",
)
def test_refused(words, said, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    words = [word.format(empty=tmp_path / "empty") if word == "{empty}" else word for word in words]
    assert launch.main(["--trainer", "CoOp", "--output-dir", str(tmp_path / "out"), *words]) == 1
    found = capsys.readouterr().err
    assert said in found and found.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("typed", [["a", "b"], ["a,b"], ["a, b"], ["(a, b)"], ["['a', 'b']"], ["a,", "b"]])
def test_domains_and_transforms_however_they_are_typed(typed):
    from craft.config.commandline import parser
    from craft.trainers.settings import setup_cfg

    names = {"a": "random_flip", "b": "normalize"}
    transforms = [re.sub("[ab]", lambda found: names[found[0]], word) for word in typed]
    words = ["--trainer", "CoOp", "--source-domains", *typed, "--target-domains", "real world"]
    cfg = setup_cfg(parser("").parse_args([*words, "--transforms", *transforms]))
    assert (cfg.DATASET.SOURCE_DOMAINS, cfg.DATASET.TARGET_DOMAINS) == (("a", "b"), ("real world",))
    assert cfg.INPUT.TRANSFORMS == ("random_flip", "normalize")


def test_an_epoch_is_counted_from_one(capsys):
    with pytest.raises(SystemExit):
        launch.main(["--trainer", "CoOp", "--eval-only", "--model-dir", "x", "--load-epoch", "0"])
    assert "--load-epoch: 0 is not 1 or more" in capsys.readouterr().err


def test_words_that_decide_are_fine_where_nothing_is_lost():
    """Their own number of words, the default number, and none with a number."""
    from craft.config.commandline import parser
    from craft.trainers.settings import check_effect, setup_cfg

    for pairs in (["N_CTX", "4"], ["N_CTX", "16"], ["N_CTX", "8", "CTX_INIT", ""]):
        words = [f"TRAINER.COOP.{word}" if word.isupper() else word for word in pairs]
        check_effect(setup_cfg(parser("").parse_args(["--trainer", "CoOp", *words])))


def test_an_interrupt_before_anything_began_does_not_promise_to_go_on(tmp_path, monkeypatch, capsys):
    from tests.runs import interrupted_after, run

    with interrupted_after(0):
        assert run(tmp_path / "begun", "CoOp") == 130
    assert "run the same command again to go on" in capsys.readouterr().err

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(launch, "check_names", stop)
    assert launch.main(["--trainer", "CoOp", "--output-dir", str(tmp_path / "not")]) == 130
    assert capsys.readouterr().err == "interrupted\n"
