"""The page of `craft app`: its answers, and in a headless browser, where one is at hand, a real upload."""

import shutil
import socket

import numpy as np
import pytest
from PIL import Image

from craft.__main__ import main as craft
from craft.inference import app, learned


@pytest.fixture(scope="module")
def answers(trained):
    return app.Answers(learned.load(trained("CoOpCraft")))


@pytest.fixture
def image(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return Image.open(tmp_path / "photo.png")


def test_probabilities_and_near_anchors(answers, image):
    names = "\n".join(answers.own.classnames)
    found, near, note = answers.answer(image, names)
    expected = answers.own.probabilities(answers.own.transform(image.convert("RGB"))[None])[0]
    assert list(found) == answers.own.classnames and list(found.values()) == pytest.approx(expected.tolist())
    assert note == "" and len(near) == app.ANCHORS_SHOWN
    cosines = [float(words.rpartition(" ")[2]) for _, words in near]
    assert cosines == sorted(cosines, reverse=True) and all(-1 <= c <= 1 for c in cosines)
    assert answers.answer(None, names) == ({}, [], "")


def test_class_names_can_be_changed_and_mistakes_are_said(answers, image):
    found, _, note = answers.answer(image, "seven\n\n capital letter a \n")
    assert list(found) == ["seven", "capital letter a"] and sum(found.values()) == pytest.approx(1) and not note
    for names, words in (("seven", "two classes"), ("", "two classes"), ("a\nb\na", "more than once")):
        found, near, note = answers.answer(image, names)
        assert found == {} and near == [] and words in note
    again, _, _ = answers.answer(image, "\n".join(answers.own.classnames))
    assert list(again) == answers.own.classnames


def test_bad_arguments(trained, capsys):
    assert craft(["app", "--model-dir", "none"]) == 1
    assert "no such folder" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        craft(["app", "--model-dir", str(trained("CoOpCraft")), "--port", "0"])
    assert "--port: 0 is not 1 or more" in capsys.readouterr().err


def test_an_upload_in_a_browser(answers, image, tmp_path):
    pytest.importorskip("gradio", reason="the extra app is not installed")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("no Chromium on this machine")
    with socket.socket() as free:
        free.bind((app.LOOPBACK, 0))
        port = free.getsockname()[1]
    page = app.build(answers)
    app.launch(page, app.LOOPBACK, port, wait=False)
    try:
        with sync_api.sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            tab, elsewhere = browser.new_page(), []
            tab.on("request", lambda request: elsewhere.append(request.url))
            tab.goto(f"http://{app.LOOPBACK}:{port}", wait_until="networkidle")
            tab.set_input_files("input[type=file]", tmp_path / "photo.png")
            best = max(answers.answer(image, "\n".join(answers.own.classnames))[0].items(), key=lambda item: item[1])[0]
            tab.get_by_test_id("label-output-value").wait_for(timeout=60_000)
            assert best in tab.get_by_test_id("label-output-value").inner_text()
            outside = [url for url in elsewhere if app.LOOPBACK not in url and not url.startswith(("data:", "blob:"))]
            assert not outside, "nothing is loaded from anywhere else"
            browser.close()
    finally:
        page.close()
