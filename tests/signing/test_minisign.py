"""Keys and signatures: their format, what breaks them, and minisign itself on the other side."""

import shutil
import subprocess
from base64 import b64decode, b64encode
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import SignatureUnusable
from pipeline.signing import secretkey
from pipeline.signing.minisign import parse_key_id, parse_public_key, parse_signature
from pipeline.signing.secretkey import (
    SecretKey,
    needs_password,
    new_secret_key,
    parse_secret_key,
)

CONTENT = b'{"layout": 1}\n'

# The key and the signature of minisign's own documentation.
DOCUMENTED = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"

MINISIGN = pytest.mark.skipif(shutil.which("minisign") is None, reason="no minisign installed")


@pytest.fixture
def key() -> SecretKey:
    return new_secret_key()


def test_a_signature_holds_for_its_content_and_comment_alone(key: SecretKey) -> None:
    made = parse_signature(key.sign(CONTENT, "who and when").text("any").encode())
    assert key.public.holds(made, CONTENT)
    assert not key.public.holds(made, CONTENT + b" ")
    assert not key.public.holds(replace(made, trusted_comment="another"), CONTENT)
    assert not key.public.holds(replace(made, key_id=new_secret_key().key_id), CONTENT)
    other = new_secret_key()
    assert not replace(other.public, key_id=key.key_id).holds(made, CONTENT)


def test_the_key_of_the_documentation_is_read_as_it_is_shown() -> None:
    key = parse_public_key(DOCUMENTED)
    assert (key.key_id, key.text()) == ("E7620F1842B4E81F", DOCUMENTED)
    assert parse_public_key(f"untrusted comment: minisign public key\n{DOCUMENTED}\n") == key
    assert parse_key_id(DOCUMENTED) == parse_key_id("e7620f1842b4e81f") == key.key_id


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.binary(max_size=200), st.text(st.characters(codec="ascii", categories=["L"])))
def test_what_is_signed_is_read_back_and_holds(content: bytes, comment: str) -> None:
    key = SecretKey(key_id="0123456789ABCDEF", seed=bytes(range(32)))
    made = key.sign(content, comment)
    assert parse_signature(made.text("x").encode()) == made
    assert key.public.holds(made, content)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.data())
def test_no_changed_bit_of_a_signature_holds(data: st.DataObject) -> None:
    key = SecretKey(key_id="0123456789ABCDEF", seed=bytes(range(32)))
    lines = key.sign(CONTENT, "comment").text("x").splitlines()
    which = data.draw(st.sampled_from([1, 2, 3]))
    line = bytearray(lines[which].encode())
    at = data.draw(st.integers(0, len(line) - 1))
    line[at] ^= 1 << data.draw(st.integers(0, 6))
    lines[which] = line.decode("latin-1")
    try:
        made = parse_signature("\n".join(lines).encode())
    except SignatureUnusable:
        return
    assert not key.public.holds(made, CONTENT)


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff" * 9, b"one\ntwo\nthree\nfour\n", b"x" * 5000, "untrusted comment: é".encode()],
)
def test_what_is_no_signature_is_refused(content: bytes) -> None:
    with pytest.raises(SignatureUnusable, match="no signature of minisign"):
        parse_signature(content)


def test_a_signature_without_a_hash_is_refused(key: SecretKey) -> None:
    lines = key.sign(CONTENT, "comment").text("x").splitlines()
    lines[1] = b64encode(b"Ed" + b64decode(lines[1])[2:]).decode()
    with pytest.raises(SignatureUnusable, match="without a hash"):
        parse_signature("\n".join(lines).encode())


@pytest.mark.parametrize("text", ["", "RWQ", "E7620F1842B4E81", "x" * 16, DOCUMENTED[:-4], "é"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(SignatureUnusable, match="no public key"):
        parse_key_id(text)


def test_a_secret_key_is_read_back_with_its_password_alone(
    key: SecretKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secretkey, "OPERATIONS", 2**15)
    monkeypatch.setattr(secretkey, "MEMORY_BYTES", 2**21)
    locked, clear = key.text("word"), key.text(None)
    assert (needs_password(locked), needs_password(clear)) == (True, False)
    assert parse_secret_key(locked, "word") == parse_secret_key(clear, None) == key
    assert key.seed.hex() not in repr(key)
    for password in ("other", None):
        with pytest.raises(SignatureUnusable, match="wrong password"):
            parse_secret_key(locked, password)
    with pytest.raises(SignatureUnusable, match="no secret key"):
        parse_secret_key(key.public.text(), None)


def test_a_file_does_not_choose_what_its_password_costs(key: SecretKey) -> None:
    comment, line = key.text(None).splitlines()
    packed = bytearray(b64decode(line))
    packed[2:4] = b"Sc"
    packed[38:54] = (2**40).to_bytes(8, "little") * 2
    with pytest.raises(SignatureUnusable, match="costs more"):
        parse_secret_key(f"{comment}\n{b64encode(packed).decode()}\n", "word")


@MINISIGN
def test_minisign_accepts_what_is_signed_here(key: SecretKey, tmp_path: Path) -> None:
    file = tmp_path / "files.json"
    file.write_bytes(CONTENT)
    (tmp_path / "files.json.minisig").write_text(key.sign(CONTENT, "by vesalius").text("x"))
    words = ["minisign", "-V", "-P", key.public.text(), "-m", file]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "Trusted comment: by vesalius" in done.stdout
    file.write_bytes(CONTENT + b" ")
    assert subprocess.run(words, capture_output=True, check=False).returncode != 0


@MINISIGN
def test_minisign_signs_with_a_key_that_was_made_here(key: SecretKey, tmp_path: Path) -> None:
    secret, file = tmp_path / "site.key", tmp_path / "files.json"
    secret.write_text(key.text(None))
    file.write_bytes(CONTENT)
    subprocess.run(["minisign", "-S", "-s", secret, "-m", file], check=True, capture_output=True)
    made = parse_signature((tmp_path / "files.json.minisig").read_bytes())
    assert made.key_id == key.key_id
    assert key.public.holds(made, CONTENT)


@MINISIGN
def test_a_key_of_minisign_is_read_with_its_password(tmp_path: Path) -> None:
    public, secret = tmp_path / "site.pub", tmp_path / "site.key"
    words = ["minisign", "-G", "-p", public, "-s", secret]
    subprocess.run(words, input=b"word\nword\n", capture_output=True, timeout=60, check=True)
    key = parse_secret_key(secret.read_text(), "word")
    assert key.public == parse_public_key(public.read_text())
