"""The vault takes a file once, keeps it, and says clearly when it cannot."""

from __future__ import annotations

import os
import stat
from hashlib import sha256
from pathlib import Path

import pytest

from forensics.vault import LocalVault, VaultItem
from irrunner.errors import EvidenceError, InvalidArgument, VaultUnavailable


@pytest.fixture
def vault(tmp_path: Path) -> LocalVault:
    """Return an empty vault."""
    return LocalVault(tmp_path / "vault")


def content(vault: LocalVault, item: VaultItem) -> bytes:
    """Return what is kept."""
    with vault.open(item) as stream:
        return stream.read()


def test_a_file_is_kept_read_only_under_case_and_name(vault: LocalVault, tmp_path: Path) -> None:
    """The layout is that of S3; the mode keeps honest people from changing it."""
    item = vault.put("inc-1", "memory/host.lime", b"pages")

    path = tmp_path / "vault" / "inc-1" / "memory" / "host.lime"
    assert item == VaultItem("inc-1", "memory/host.lime", sha256(b"pages").hexdigest(), 5, str(path))
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"pages", 0o400)
    assert {stat.S_IMODE(each.stat().st_mode) for each in (path.parent, path.parent.parent)} == {0o700}
    assert vault.items("inc-1") == [item]
    assert content(vault, item) == b"pages"


def test_a_file_on_disk_is_taken_too(vault: LocalVault, tmp_path: Path) -> None:
    """Images are large: they are copied in pieces."""
    source = tmp_path / "image"
    source.write_bytes(b"0" * 3_000_000)

    assert vault.put("inc-1", "image.raw", source).size_bytes == 3_000_000


def test_the_same_item_again_is_a_no_op(vault: LocalVault, tmp_path: Path) -> None:
    """A step that is repeated after a crash puts the same thing."""
    first = vault.put("inc-1", "a", b"one")
    before = Path(first.location).stat()

    assert vault.put("inc-1", "a", b"one") == first
    assert Path(first.location).stat().st_ino == before.st_ino


def test_other_content_under_the_same_name_is_refused(vault: LocalVault) -> None:
    """Evidence is never replaced."""
    item = vault.put("inc-1", "a", b"one")

    with pytest.raises(EvidenceError, match="never replaced"):
        vault.put("inc-1", "a", b"two")

    assert content(vault, item) == b"one"


@pytest.mark.parametrize(
    ("case", "name"),
    [
        ("inc-1", "../x"), ("inc-1", "/x"), ("inc-1", "a/../../x"), ("inc-1", "a//b"), ("inc-1", "."),
        ("inc-1", ""), ("inc-1", "a\\b"), ("inc-1", "a\x00b"), ("inc-1", "a b"), ("inc-1", ".hidden"),
        ("inc-1", "x" * 300), ("inc-1", "/".join("x" * 99 for _ in range(9))), ("..", "x"), ("", "x"),
        ("a/b", "x"), ("inc-1", "caf\u00e9"), ("inc-1", "a\u202eb"), ("inc-1", "-rf"),
    ],
)  # fmt: skip
def test_a_name_that_could_leave_its_place_is_refused(
    vault: LocalVault, tmp_path: Path, case: str, name: str
) -> None:
    """Names come from hosts that an attacker held."""
    with pytest.raises(InvalidArgument, match="is no name in a vault"):
        vault.put(case, name, b"x")

    assert not (tmp_path / "vault").exists()


def test_a_link_in_the_vault_is_not_followed(vault: LocalVault, tmp_path: Path) -> None:
    """Neither a folder nor a file that leads elsewhere."""
    vault.put("inc-1", "a", b"one")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "vault" / "inc-1" / "dir").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "vault" / "inc-1" / "file").symlink_to("/etc/passwd")

    for name in ("dir/x", "file"):
        with pytest.raises(EvidenceError, match="leads out of the vault"):
            vault.put("inc-1", name, b"x")
    assert [item.name for item in vault.items("inc-1")] == ["a"]
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_full_disk_is_told_and_loses_nothing(
    vault: LocalVault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was there stays; half a file is not left behind; again, with room, it works."""
    kept = vault.put("inc-1", "a", b"one")

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(VaultUnavailable, match="disk is full; nothing that was stored before is lost"):
            vault.put("inc-1", "b", b"two")

    assert vault.items("inc-1") == [kept]
    assert [each.name for each in (tmp_path / "vault" / "inc-1").iterdir()] == ["a"]
    assert vault.put("inc-1", "b", b"two").size_bytes == 3


def test_a_source_that_changes_while_it_is_copied_is_told(
    vault: LocalVault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The digest must be of what is kept."""
    source = tmp_path / "log"
    source.write_bytes(b"one")
    real = os.open

    def changing(path: object, *rest: object, **more: object) -> int:
        if str(path).rpartition("/")[2].startswith(".b."):
            source.write_bytes(b"one, and more")
        return real(path, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", changing)

    with pytest.raises(EvidenceError, match="changed while it was copied"):
        vault.put("inc-1", "b", source)


def test_an_empty_case_has_no_items(vault: LocalVault) -> None:
    """Nothing was collected."""
    assert vault.items("inc-1") == []
