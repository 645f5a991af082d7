from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.access import Scope
from infra.store import Store
from tests.api.keys import make_key
from tests.api.stack import Running, running, settings_in

CONSOLE = Path(__file__).parents[2] / "console"
PAGE = "<!doctype html><title>console</title>"


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """What a build writes, and a secret beside it."""
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(PAGE)
    (folder / "icon.svg").write_text("<svg/>")
    (folder / "assets" / "index-1a2b.js").write_text("1")
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    return folder


@pytest.fixture
def served(store: Store, tmp_path: Path, built: Path) -> Iterator[Running]:
    settings = settings_in(tmp_path, console_folder=built, read_needs_key=True, local_needs_key=True)
    with running(settings, store) as stack:
        yield stack


def test_every_view_is_the_same_page_under_its_own_address(served: Running) -> None:
    for path in ("/console", "/console/", "/console/anomalies/9f86d081884c7d65", "/console/hosts/fd00%3A%3A1"):
        answer = served.http.get(path)
        assert (answer.status_code, answer.text) == (200, PAGE), path
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache"


def test_files_with_a_hash_in_their_name_are_kept_for_good_and_others_are_not(served: Running) -> None:
    asset = served.http.get("/console/assets/index-1a2b.js")
    assert (asset.status_code, asset.text) == (200, "1")
    assert "immutable" in asset.headers["cache-control"]
    assert asset.headers["content-type"].startswith("text/javascript")
    assert served.http.get("/console/icon.svg").headers["cache-control"] == "no-cache"
    gone = served.http.get("/console/assets/index-0000.js")
    assert (gone.status_code, gone.headers["cache-control"]) == (404, "no-store")
    assert "another build" in gone.json()["message"]


def test_a_page_may_load_only_what_is_ours_and_nothing_inside_it_may_run(served: Running) -> None:
    policy = served.http.get("/console/flows").headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


def test_nothing_outside_the_folder_is_shown(served: Running) -> None:
    for path in ("link.txt", "..%2Fsecret.txt", "%2Fetc%2Fpasswd", "a%00b", "a" * 5000):
        answer = served.http.get(f"/console/{path}")
        assert "secret" not in answer.text, path
        assert answer.text == PAGE, path


def test_without_a_build_it_is_said_how_to_make_one(store: Store, tmp_path: Path) -> None:
    with running(settings_in(tmp_path, console_folder=tmp_path / "none"), store) as stack:
        answer = stack.http.get("/console/flows")
        assert answer.status_code == 503
        assert "make console" in answer.text
        assert answer.headers["content-security-policy"]
        (tmp_path / "none").mkdir()
        (tmp_path / "none" / "index.html").write_text(PAGE)
        assert stack.http.get("/console/flows").text == PAGE


def test_the_page_needs_no_key_and_what_it_asks_for_does(served: Running) -> None:
    assert served.http.get("/console").status_code == 200
    assert served.http.get("/api/captures").status_code == 401
    shown = {"X-API-Key": make_key(served.settings, Scope.READ)}
    assert served.http.get("/api/captures", headers=shown).status_code == 200


def test_the_documentation_of_the_api_does_not_list_pages(served: Running) -> None:
    assert not [path for path in served.http.get("/openapi.json").json()["paths"] if "console" in path]


def test_what_is_built_from_is_pinned_by_hash_and_comes_from_whatever_mirror_there_is() -> None:
    lock = json.loads((CONSOLE / "package-lock.json").read_text())
    packages = {name: one for name, one in lock["packages"].items() if name}
    assert packages
    for name, one in packages.items():
        assert one["integrity"].startswith("sha512-"), name
        assert "resolved" not in one, name
