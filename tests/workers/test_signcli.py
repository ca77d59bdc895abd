"""Signatures of bundles through the commands: who may have a version work, and who may not."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.infer.bundle import load_bundle, write_file_list
from pipeline.infer.filelist import FILE_LIST, SIGNATURE
from pipeline.signing.minisign import parse_signature
from pipeline.signing.secretkey import SecretKey, new_secret_key
from tests.support.tally import write_volumes
from tests.support.versions import version_of
from tests.workers.test_modelscli import Models
from workers.cli import app


class Signing(Models):
    """A desk whose site trusts one key, and demands its signature."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.key = new_secret_key()
        self.set(required=True, trusted=[self.key])

    @property
    def config(self) -> Path:
        return self.folder / "site.toml"

    def set(
        self, *, required: bool, trusted: list[SecretKey], revoked: list[SecretKey] | None = None
    ) -> None:
        """Set whose signatures are taken."""
        self.config.write_text(
            "[models]\n"
            f"trusted_keys = {json.dumps([key.public.text() for key in trusted])}\n"
            f"revoked_keys = {json.dumps([key.key_id for key in revoked or []])}\n"
            f"require_signature = {json.dumps(required)}\n"
        )

    def bundle(self, version: str) -> Path:
        return version_of(self.installed, self.folder / version, version).folder

    def sign(self, folder: Path, key: SecretKey | None = None) -> Path:
        """Sign a bundle by the command."""
        place = self.folder / "secret.key"
        place.write_text((key or self.key).text(None))
        assert "signed by key" in self.said("models", "sign", folder, "--key", place)
        return folder

    def models_call(self, *words: str | Path, refused: str | None = None) -> str:
        """Call a command on models under the site's settings."""
        done = self.call("models", *words, "--config", self.config)
        assert done.returncode == (0 if refused is None else 2), done.stderr
        if refused is not None:
            assert refused in done.stderr
        return str(done.stdout)

    def refusals(self) -> list[dict[str, object]]:
        """Return what the audit log has of models that were refused."""
        lines = self.said("audit", "list", "--json").splitlines()
        events = [json.loads(line) for line in lines]
        return [each for each in events if each["action"] == "model refused"]


@pytest.fixture
def desk(tmp_path: Path) -> Signing:
    return Signing(tmp_path)


def test_what_is_not_signed_is_imported_nowhere_where_a_signature_is_required(
    desk: Signing,
) -> None:
    folder = desk.bundle("1.0.0")
    desk.models_call("import", folder, refused=f"{folder}: not signed")
    assert not (desk.folder / "registry").exists()
    (event,) = desk.refusals()
    assert event["subject"] == "model tally@1.0.0"
    assert event["outcome"] == "refused"
    assert event["detail"]["tried"] == "import"  # type: ignore[index]
    desk.sign(folder)
    desk.models_call("import", folder)
    told = json.loads(desk.models_call("show", "tally@1.0.0", "--json"))
    assert told["events"][-1]["detail"]["signed_by"] == desk.key.key_id


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("byte", "altered, its SHA-256 is not the one listed"),
        ("list", "does not hold for its list of files"),
        ("other key", "which is not trusted here"),
        ("forged id", "does not hold for its list of files"),
        ("other bundle's signature", "does not hold for its list of files"),
        ("no signature of minisign", "no signature of minisign"),
    ],
)
def test_what_is_signed_wrongly_is_refused(desk: Signing, damage: str, reason: str) -> None:
    folder = desk.sign(desk.bundle("1.0.0"))
    place = folder / SIGNATURE
    if damage == "byte":
        (folder / "LICENSE").write_text("another")
    elif damage == "list":
        (folder / "LICENSE").write_text("another")
        write_file_list(folder)
    elif damage == "other key":
        desk.sign(folder, new_secret_key())
    elif damage == "forged id":
        other = SecretKey(key_id=desk.key.key_id, seed=new_secret_key().seed)
        desk.sign(folder, other)
    elif damage == "other bundle's signature":
        shutil.copy(desk.sign(desk.bundle("1.1.0")) / SIGNATURE, place)
    else:
        place.write_text("signed by me")
    desk.models_call("import", folder, refused=reason)
    desk.models_call("list")
    assert "no versions" in desk.models_call("list")


def test_what_is_exchanged_in_the_registry_is_given_no_work(desk: Signing) -> None:
    desk.models_call("import", desk.sign(desk.bundle("1.0.0")))
    digest = load_bundle(desk.folder / "1.0.0").digest
    kept = desk.folder / "registry" / digest
    desk.models_call("enable", "tally@1.0.0")
    (kept / SIGNATURE).unlink()
    desk.models_call("shadow", "tally@1.0.0", refused="not signed")
    desk.sign(kept, new_secret_key())
    desk.models_call("shadow", "tally@1.0.0", refused="which is not trusted here")
    assert [event["detail"]["tried"] for event in desk.refusals()] == ["work", "work"]  # type: ignore[index]
    assert desk.roles() == {"1.0.0": "enabled"}
    desk.models_call("retire", "tally@1.0.0")


def test_a_live_version_without_its_signature_does_no_study(desk: Signing) -> None:
    desk.sign(desk.installed)
    desk.models_call("import", desk.sign(desk.bundle("1.0.0")))
    desk.models_call("enable", "tally@1.0.0")
    desk.models_call("promote", "tally@1.0.0", "--anyway", "test")
    write_volumes(desk.inputs, 1)
    words = ("submit", desk.inputs, "--output", desk.folder / "out", "--config", desk.config)
    desk.said(*words)
    digest = load_bundle(desk.folder / "1.0.0").digest
    (desk.folder / "registry" / digest / SIGNATURE).unlink()
    done = desk.call(*words)
    assert (done.returncode, "not signed" in done.stderr) == (2, True), done.stderr
    (event,) = desk.refusals()
    assert event["detail"]["tried"] == "open"  # type: ignore[index]


def test_an_installed_bundle_needs_the_sites_signature_too(desk: Signing) -> None:
    write_volumes(desk.inputs, 1)
    words = ("submit", desk.inputs, "--output", desk.folder / "out", "--config", desk.config)
    done = desk.call(*words)
    assert (done.returncode, "not signed" in done.stderr) == (2, True), done.stderr
    place = desk.folder / "secret.key"
    place.write_text(desk.key.text(None))
    assert "tally" in desk.said("models", "sign", "--key", place)
    desk.said(*words)


def test_a_revoked_key_stops_its_versions_until_another_key_has_signed_them(
    desk: Signing,
) -> None:
    folder = desk.sign(desk.bundle("1.0.0"))
    desk.models_call("import", folder)
    desk.models_call("enable", "tally@1.0.0")
    desk.models_call("promote", "tally@1.0.0", "--anyway", "test")
    desk.models_call("import", desk.sign(desk.bundle("1.1.0")))
    second = new_secret_key()
    desk.set(required=True, trusted=[desk.key, second], revoked=[desk.key])
    desk.models_call("enable", "tally@1.1.0", refused="which is revoked")
    # Also where none is needed, and for a rollback.
    desk.set(required=False, trusted=[], revoked=[desk.key])
    desk.models_call("enable", "tally@1.1.0", refused=f"key {desk.key.key_id}, which is revoked")
    desk.set(required=True, trusted=[desk.key, second], revoked=[desk.key])
    desk.sign(desk.folder / "1.1.0", second)
    desk.models_call("import", desk.folder / "1.1.0")
    desk.models_call("enable", "tally@1.1.0")
    desk.models_call("promote", "tally@1.1.0", "--anyway", "test")
    desk.models_call("rollback", "tally", refused="which is revoked")
    desk.sign(folder, second)
    desk.models_call("import", folder)
    desk.models_call("rollback", "tally")
    told = json.loads(desk.models_call("show", "tally@1.1.0", "--json"))["events"]
    (signed,) = (event for event in told if event["action"] == "model signed")
    assert signed["detail"]["signed_by"] == second.key_id


def test_an_old_version_is_not_brought_back_under_its_number(desk: Signing) -> None:
    desk.models_call("import", desk.sign(desk.bundle("1.0.0")))
    other = desk.folder / "other"
    shutil.copytree(desk.folder / "1.0.0", other)
    (other / "LICENSE").write_text("another")
    write_file_list(other)
    desk.sign(other)
    desk.models_call("import", other, refused="another bundle needs another version")


def test_an_import_without_a_signature_takes_none_away(desk: Signing) -> None:
    desk.set(required=False, trusted=[desk.key])
    folder = desk.sign(desk.bundle("1.0.0"))
    desk.models_call("import", folder)
    (folder / SIGNATURE).unlink()
    desk.models_call("import", folder)
    desk.set(required=True, trusted=[desk.key])
    desk.models_call("enable", "tally@1.0.0")


def test_verify_tells_whose_signature_a_bundle_has(desk: Signing) -> None:
    folder = desk.bundle("1.0.0")
    assert "whole, not signed" in desk.said("models", "verify", folder)
    desk.sign(folder)
    assert "which is not known here" in desk.said("models", "verify", folder)
    told = desk.models_call("verify", folder)
    assert f"whole, signed by key {desk.key.key_id}" in told
    desk.set(required=True, trusted=[new_secret_key()])
    done = desk.call("models", "verify", folder, "--config", desk.config)
    assert (done.returncode, "not trusted here" in done.stdout) == (1, True)


def test_a_key_is_made_for_its_owner_alone_and_signs(desk: Signing) -> None:
    place = desk.folder / "site.key"
    told = desk.said("models", "new-key", place, "--without-password")
    assert place.stat().st_mode & 0o077 == 0
    desk.config.write_text(f"[models]\n{told}require_signature = true\n")
    folder = desk.bundle("1.0.0")
    desk.said("models", "sign", folder, "--key", place)
    desk.models_call("import", folder)
    signature = parse_signature((folder / SIGNATURE).read_bytes())
    assert load_bundle(folder).digest in signature.trusted_comment
    assert (folder / FILE_LIST).is_file()
    done = desk.call("models", "new-key", place)
    assert (done.returncode, "never overwritten" in done.stderr) == (2, True)


def test_a_key_with_a_password_asks_for_it(desk: Signing) -> None:
    place, folder = desk.folder / "site.key", desk.bundle("1.0.0")
    made = CliRunner().invoke(app, ["models", "new-key", str(place)], input="wyvern\nwyvern\n")
    assert made.exit_code == 0, made.stderr
    words = ["models", "sign", str(folder), "--key", str(place)]
    wrong = CliRunner().invoke(app, words, input="other\n")
    assert (wrong.exit_code, "wrong password" in wrong.stderr) == (2, True)
    assert not (folder / SIGNATURE).exists()
    right = CliRunner().invoke(app, words, input="wyvern\n")
    assert right.exit_code == 0, right.stderr
    assert "wyvern" not in right.stdout + right.stderr


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ("require_signature = true", "require_signature needs trusted_keys"),
        ('trusted_keys = ["none"]', "trusted_keys holds 'none', no key of minisign"),
        ('revoked_keys = ["none"]', "revoked_keys holds 'none', no key of minisign"),
    ],
)
def test_settings_that_make_no_sense_are_refused(desk: Signing, settings: str, reason: str) -> None:
    desk.config.write_text(f"[models]\n{settings}\n")
    desk.models_call("list", refused=reason)
