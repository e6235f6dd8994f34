"""What a server is told: by a file, the environment and the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from arcwise.cli import main
from arcwise.errors import ArcwiseError
from arcwise.gallery import UnavailableGallery
from arcwise.serving.keys import digest
from arcwise.serving.settings import gallery_name, is_loopback, read_settings

SHOP = {"galleries": {"shop": {"path": "shop.gallery"}}}
KEY = {"name": "till", "digest": digest("secret"), "role": "read", "galleries": ["*"]}


def test_file_environment_and_command_line(tmp_path):
    """Each over the one before; paths of the file start from its folder."""
    file = tmp_path / "serve.toml"
    file.write_text(
        'port = 1\nhost = "127.0.0.2"\n[galleries.shop]\npath = "a/shop.gallery"\nmodel = "/m"\n'
        "[limits]\nimages = 5\nrequests = 6\n"
    )
    environment = {
        "ARCWISE_SERVE__LIMITS__IMAGES": "7",
        "ARCWISE_SERVE__HOST": "127.0.0.3",
        "ARCWISE_SERVE__GALLERIES__SHOP__THUMBNAILS": "true",
        "OTHER": "1",
    }
    found = read_settings(file, environment, {"port": 3})
    assert (found.port, found.host) == (3, "127.0.0.3")
    assert (found.limits.images, found.limits.requests) == (7, 6)
    shop = found.galleries["shop"]
    assert (shop.path, str(shop.model), shop.thumbnails) == (
        str(tmp_path / "a/shop.gallery"),
        "/m",
        True,
    )
    lists = {
        "ARCWISE_SERVE__KEYS": f'[{{name="a",digest="{"0" * 64}",role="read",galleries=["*"]}}]'
    }
    assert read_settings(file, lists, {}).keys[0].name == "a"


@pytest.mark.parametrize(
    ("given", "fact"),
    [
        ({"galleries": {}}, "no gallery"),
        ({**SHOP, "colour": 1}, "colour"),
        ({**SHOP, "limits": {"images": 0}}, r"limits\.images"),
        ({**SHOP, "host": "0.0.0.0"}, "new-key"),
        ({**SHOP, "keys": [{**KEY, "role": "king"}]}, "role"),
        ({**SHOP, "keys": [{**KEY, "galleries": ["other"]}]}, "no gallery other"),
        ({**SHOP, "keys": [KEY, {**KEY, "name": "b"}]}, "same digest"),
        ({**SHOP, "proxies": ["nonsense"]}, "proxies"),
        ({"galleries": {"../x": {"path": "x"}}}, "galleries"),
    ],
)
def test_refused(given, fact):
    with pytest.raises(ArcwiseError, match=fact):
        read_settings(None, {}, given)


@pytest.mark.parametrize(
    ("given", "facts"),
    [
        ({"gallery": {}}, ["no setting gallery; did you mean 'galleries'?", "no gallery"]),
        ({**SHOP, "limits": {"imges": 1, "rate": 0}}, ["limits.imges", "'images'", "limits.rate"]),
        (
            {**SHOP, "keys": [{**KEY, "digest": "arcwise-read-x", "rol": 1, "name": "?"}]},
            ["--new-key ROLE", "not the key", "keys.0.rol", "'role'", "keys.0.name", "letters"],
        ),
        ({"galleries": {"../x": {"path": "x"}, "y": {}}}, ["../x", "galleries.y.path: is missing"]),
        ({**SHOP, "limits": 3}, ["limits: expected a section"]),
        ({**SHOP, "port": "high"}, ["port: expected a valid integer"]),
    ],
)
def test_all_mistakes_in_words(given, facts):
    with pytest.raises(ArcwiseError) as refused:
        read_settings(None, {}, given)
    said = str(refused.value)
    assert [one for one in facts if one not in said] == []
    for raw in ("Input", "pattern", "Extra", "arcwise-read-x"):
        assert raw not in said


def test_file_that_is_none(tmp_path):
    (tmp_path / "bad.toml").write_text("port = ")
    for name in ("bad.toml", "none.toml"):
        with pytest.raises(ArcwiseError, match=name):
            read_settings(tmp_path / name, {}, {})


def test_shown_without_secrets():
    found = read_settings(None, {}, {**SHOP, "host": "0.0.0.0", "keys": [KEY]})
    text = "\n".join(found.shown())
    assert "till: read" in text
    assert KEY["digest"] not in text
    assert "image_bytes 16 MiB" in text
    assert "e+0" not in text
    address = "postgresql://shop:hunter2@db.example.com/x?gallery=shop"
    found = read_settings(None, {}, {"galleries": {"shop": {"path": address, "audit": "a"}}})
    assert "hunter2" not in "\n".join(found.shown())


def test_log_of_a_gallery_on_a_database_server(monkeypatch):
    """On the command line in the working folder, or where --audit says; in a file it is named."""
    address, seen = "postgresql://db.example.com/x?gallery=shop", []
    monkeypatch.setattr("arcwise.serving.running.serve", lambda settings, _: seen.append(settings))
    assert main(["serve", "model", address]) == 0
    assert main(["serve", "model", address, "--audit", "logs/a.jsonl"]) == 0
    logs = [str(one.galleries["shop"].log) for one in seen]
    assert logs == ["shop.audit.jsonl", str(Path("logs/a.jsonl"))]
    assert "log in shop.audit.jsonl" in "\n".join(seen[0].shown())
    with pytest.raises(ArcwiseError, match=r"galleries\.shop.*audit = \"shop\.audit"):
        read_settings(None, {}, {"galleries": {"shop": {"path": address}}})
    assert main(["serve", "--audit", "a.jsonl", "--config", "x"]) == 2


def test_a_database_that_is_away_may_be_tried_again(monkeypatch, capsys):
    def away(settings, _):
        raise UnavailableGallery("postgresql://…", "no connection to the server")

    monkeypatch.setattr("arcwise.serving.running.serve", away)
    assert main(["serve", "model", "postgresql://db/x?gallery=shop"]) == 1
    assert "no connection" in capsys.readouterr().err


def test_loopback():
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]")))
    assert not any(map(is_loopback, ("0.0.0.0", "192.168.0.1", "localhost.example.org", "::", "")))


def test_gallery_name():
    names = {"a/shop.gallery": "shop", "My shop.g": "My-shop", "ä": "gallery", "x.y.gallery": "x.y"}
    names["postgresql://u:p@h/d?gallery=shop&sslmode=require"] = "shop"
    assert {path: gallery_name(path) for path in names} == names


def test_new_key(capsys):
    assert main(["serve", "--new-key", "enrol"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("arcwise-enrol-")
    assert f'digest = "{digest(lines[0])}"' in lines
    assert main(["serve", "model"]) == 2
    assert main(["serve", "--new-key", "foo"]) == 2
    assert "read, enrol, admin" in capsys.readouterr().err
