"""A bundle proves itself offline: any single change of it is found, and named."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forensics.archive import read_archive, write_archive
from forensics.bundle import compose, write_bundle
from forensics.signing import ECDSA, ED25519, RSA_PSS, KmsSigner, LocalSigner
from forensics.vault import LocalVault
from forensics.verify import expected_fingerprint, verify_bundle
from irrunner.errors import CustodyBroken, EvidenceError, InvalidArgument, VaultUnavailable
from tests.forensics.conftest import Office


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Return an office with a bundle as ``b.zip`` and as folder ``b``, with a file of the vault in it."""
    office = Office(tmp_path_factory.mktemp("office"))
    run_id = office.whole_run()
    LocalVault(office.custody.directory / "vault").put("inc-1", "memory/host.lime", b"pages of memory\n")
    office.export(run_id, "b.zip")
    office.export(run_id, "b")
    yield office
    office.store.close()


@pytest.fixture
def folder(made: Office, tmp_path: Path) -> Path:
    """Return a copy of the unpacked bundle that may be spoilt."""
    copy = tmp_path / "bundle"
    shutil.copytree(made.folder / "b", copy)
    for path in copy.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return copy


def link_of(path: Path, key: str = "") -> str:
    """Return the first broken link."""
    with pytest.raises(CustodyBroken) as caught:
        verify_bundle(path, key)
    return str(caught.value.detail.get("link", ""))


class FakeKms:
    """KMS with one key."""

    def __init__(self, algorithm: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1()) if algorithm == ECDSA else rsa_key()

    def call(self, operation: str, /, **params: Any) -> dict[str, Any]:
        """Answer GetPublicKey and Sign."""
        if operation == "kms:GetPublicKey":
            der = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            return {"PublicKey": der, "KeyUsage": "SIGN_VERIFY", "KeyId": "arn:key"}
        hashed = utils.Prehashed(hashes.SHA256())
        if isinstance(self._key, rsa.RSAPrivateKey):
            pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
            return {"Signature": self._key.sign(params["Message"], pss, hashed)}
        return {"Signature": self._key.sign(params["Message"], ec.ECDSA(hashed))}


def rsa_key() -> rsa.RSAPrivateKey:
    """Return a new key."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class TestIntact:
    def test_zip_and_folder_verify(self, made: Office) -> None:
        """Both forms hold the same and say the same."""
        packed, loose = verify_bundle(made.folder / "b.zip"), verify_bundle(made.folder / "b")

        assert packed == loose
        assert (packed.records, packed.journals, packed.files) == (6, 1, 10)

    def test_the_same_input_gives_the_same_bytes(self, made: Office) -> None:
        """An export later is the same file."""
        made.clock.advance(3600)
        run_id = made.store.runs()[0].run_id

        assert made.export(run_id, "again.zip").read_bytes() == (made.folder / "b.zip").read_bytes()

    def test_any_unzip_reads_it(self, made: Office, tmp_path: Path) -> None:
        """What Python's zipfile unpacks verifies as a folder."""
        with zipfile.ZipFile(made.folder / "b.zip") as archive:
            assert archive.testzip() is None
            archive.extractall(tmp_path / "out")

        verify_bundle(tmp_path / "out")

    def test_without_an_expected_key_a_warning_says_so(self, made: Office) -> None:
        """A bundle that was signed anew by a thief would look the same: say so."""
        verdict = verify_bundle(made.folder / "b.zip")

        assert "nobody said which key" in verdict.warnings[0]
        assert verify_bundle(made.folder / "b.zip", verdict.key_sha256).warnings == []

    @pytest.mark.parametrize("algorithm", [ED25519, ECDSA, RSA_PSS])
    def test_the_commands_of_its_readme_work(
        self, office: Office, monkeypatch: pytest.MonkeyPatch, algorithm: str
    ) -> None:
        """Somebody without irrunner can follow the README to the letter, whatever kind of key signed."""
        if shutil.which("openssl") is None:
            pytest.skip("no openssl here")
        if algorithm != ED25519:
            signer = KmsSigner(FakeKms(algorithm), "key")
            monkeypatch.setattr(office.custody, "signer", lambda *_: signer)
        folder = office.export(office.whole_run(), "b")
        blocks = re.findall(r"```sh\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)

        done = subprocess.run(
            ["/bin/bash", "-ec", blocks[1]],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )

        verdict = verify_bundle(folder)
        assert done.returncode == 0, done.stderr
        assert f"{verdict.key_sha256}  -" in done.stdout
        assert re.search("Signature Verified Successfully|Verified OK", done.stdout)
        assert f"ledger intact, head {verdict.head_sha256}" in done.stdout

    def test_names_of_an_attacker_are_text_on_the_page(self, office: Office) -> None:
        """Names of files and descriptions come from hosts that an attacker held."""
        run_id = office.begin()
        hostile = "<img src=x onerror=alert(1)>\u202e\x1b[31m"
        office.step(
            "note", "evidence.record",
            {
                "evidence_id": hostile, "kind": "x", "description": hostile, "references": [hostile],
                "sha256": "",
            },
        )  # fmt: skip

        page = (office.export(run_id, "b") / "index.html").read_text()

        assert "&lt;img src=x" in page
        assert not re.search("<img|\u202e|\x1b", page)

    def test_its_page_shows_custody_and_runs_nothing(self, folder: Path) -> None:
        """A hostile title is text; no script, no reference to elsewhere."""
        page = (folder / "index.html").read_text()

        assert "snap-0000000000000000f" in page
        assert "&lt;b&gt;bad&lt;/b&gt;" in page
        assert "\u202e" not in page
        assert not re.search(r"<script|<img|src=|href=|url\(", page)


class TestBroken:
    @pytest.mark.parametrize(
        ("name", "link"),
        [
            ("ledger.jsonl", "ledger record 4"),
            ("manifest.json", "manifest.json"),
            ("manifest.sig", "manifest.json"),
            ("public-key.pem", "public-key.pem"),
            ("vault/memory/host.lime", "vault/memory/host.lime"),
            ("index.html", "index.html"),
            ("README.md", "README.md"),
            ("SHA256SUMS", "SHA256SUMS"),
        ],
    )
    def test_a_changed_byte_names_the_file_or_record(self, folder: Path, name: str, link: str) -> None:
        """Each file is under the signature, and the ledger by record."""
        path = folder / name
        data = bytearray(path.read_bytes())
        lines = path.read_bytes().split(b"\n")
        at = sum(len(line) + 1 for line in lines[:4]) + 30 if name == "ledger.jsonl" else len(data) // 2
        data[at] ^= 1
        path.write_bytes(bytes(data))

        assert link_of(folder) == link

    def test_a_changed_journal_names_its_record(self, folder: Path) -> None:
        """The journal's own chain says where."""
        (path,) = (folder / "journals").iterdir()
        path.write_text(path.read_text().replace("request-snapshot", "request-forged99"))

        assert link_of(folder) == f"journals/{path.name} record 2"

    def test_a_journal_with_a_name_twice_is_refused(self, folder: Path) -> None:
        """Readers that take the first, and readers that take the last, must not see two journals."""
        (path,) = (folder / "journals").iterdir()
        path.write_text(path.read_text().replace('{"at":', '{"at":"2020-01-01T00:00:00.000Z","at":', 1))

        assert link_of(folder) == f"journals/{path.name} record 0"

    def test_a_cut_journal_is_seen(self, folder: Path) -> None:
        """The manifest says how many records there were."""
        (path,) = (folder / "journals").iterdir()
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(lines[:-1]))

        assert link_of(folder) == f"journals/{path.name} record {len(lines) - 1}"

    def test_a_ledger_cut_at_an_earlier_seal_is_seen(self, folder: Path) -> None:
        """Such a ledger is whole in itself; the signed manifest counts more."""
        path = folder / "ledger.jsonl"
        lines = path.read_text().splitlines(keepends=True)
        first = next(n for n, line in enumerate(lines) if line.startswith('{"seal"'))
        path.write_text("".join(lines[: first + 1]))

        assert link_of(folder) == "ledger record 5"

    def test_two_files_that_changed_places_are_seen(self, folder: Path) -> None:
        """Each has its own name in the manifest."""
        one, two = folder / "vault/memory/host.lime", folder / "index.html"
        spare = one.read_bytes()
        one.write_bytes(two.read_bytes())
        two.write_bytes(spare)

        assert link_of(folder) == "index.html"

    @pytest.mark.parametrize("name", ["extra.txt", "vault/extra", "journals/0.jsonl", ".hidden", "a b"])
    def test_an_extra_file_is_seen(self, folder: Path, name: str) -> None:
        """Nothing lies beside evidence that was not exported with it."""
        (folder / name).write_text("x")

        assert link_of(folder) in (name, "bundle")

    def test_an_empty_extra_folder_is_seen(self, folder: Path) -> None:
        """Not even that."""
        (folder / "empty").mkdir()

        assert link_of(folder) == "empty/"

    @pytest.mark.parametrize("name", ["vault/memory/host.lime", "manifest.json", "ledger.jsonl", "README.md"])
    def test_a_missing_file_is_named(self, folder: Path, name: str) -> None:
        """Also one of those without which nothing can be verified."""
        (folder / name).unlink()

        with pytest.raises(CustodyBroken, match=f"{re.escape(name)}.*is missing"):
            verify_bundle(folder)

    @pytest.mark.parametrize("target", ["/etc/passwd", "manifest.json", "nowhere"])
    def test_a_link_is_refused_and_not_followed(self, folder: Path, target: str) -> None:
        """A link could show another file to each reader."""
        path = folder / "vault/memory/host.lime"
        path.unlink()
        path.symlink_to(target)

        assert link_of(folder) == "bundle"

    def test_a_pipe_is_refused_and_not_opened(self, folder: Path) -> None:
        """Opening it would wait for ever."""
        os.mkfifo(folder / "vault" / "pipe")

        assert link_of(folder) == "bundle"

    def test_a_bundle_signed_anew_by_a_thief_is_found_with_the_key(
        self, made: Office, tmp_path: Path
    ) -> None:
        """Self-consistent, and not by the expected key: only the fingerprint tells."""
        expected = made.custody.signer().public.fingerprint
        thief = Office(tmp_path)
        out = thief.export(thief.whole_run(), "forged.zip")
        thief.store.close()

        assert verify_bundle(out).records == 5
        assert link_of(out, expected) == "ledger record 0"

    def test_a_manifest_signed_by_another_key_is_refused(self, folder: Path) -> None:
        """The key is that of the ledger, not the one that lies beside it."""
        thief = LocalSigner.generate()
        (folder / "public-key.pem").write_text(thief.public.pem)
        (folder / "manifest.sig").write_bytes(thief.sign((folder / "manifest.json").read_bytes()))

        assert link_of(folder) == "public-key.pem"

    def test_a_manifest_with_a_name_twice_is_refused(self, made: Office, folder: Path) -> None:
        """Even signed by the right key: two readers would read two manifests."""
        text = (
            (folder / "manifest.json")
            .read_text()
            .replace('{"algorithm":', '{"algorithm":"x","algorithm":', 1)
        )
        (folder / "manifest.json").write_text(text)
        (folder / "manifest.sig").write_bytes(made.custody.signer().sign(text.encode()))

        assert link_of(folder) == "manifest.json"

    @pytest.mark.parametrize("text", ["{}", "[]", "null", '{"schema":"x"}', "[" * 100_000, "\ud800"])
    def test_a_signed_manifest_of_another_kind_is_refused(
        self, made: Office, folder: Path, text: str
    ) -> None:
        """Never a crash: a bundle is from strangers."""
        data = text.encode("utf-8", "surrogatepass") + b"\n"
        (folder / "manifest.json").write_bytes(data)
        (folder / "manifest.sig").write_bytes(made.custody.signer().sign(data))

        assert link_of(folder) == "manifest.json"


class TestArchives:
    @pytest.mark.parametrize(
        ("spoil", "what"),
        [
            (lambda z: z.writestr("../evil", b"x"), "leads out of the bundle"),
            (lambda z: z.writestr("/evil", b"x"), "leads out of the bundle"),
            (lambda z: z.writestr("a\\b", b"x"), "leads out of the bundle"),
            (lambda z: z.writestr("C:evil", b"x"), "leads out of the bundle"),
            (lambda z: z.writestr("a/../../b", b"x"), "leads out of the bundle"),
            (lambda z: z.writestr("x" * 5_000, b"x"), "leads out of the bundle"),
            (lambda z: z.writestr("bomb", b"0" * 10_000_000, zipfile.ZIP_DEFLATED), "is compressed"),
            (lambda z: z.writestr("plain", b"x"), "packed anew"),
        ],
    )
    def test_an_archive_of_another_make_is_refused(
        self, tmp_path: Path, spoil: Callable[[zipfile.ZipFile], None], what: str
    ) -> None:
        """Zip-slip, bombs and foreign forms are told before anything is read, and nothing is unpacked."""
        path = tmp_path / "evil.zip"
        with zipfile.ZipFile(path, "w") as archive:
            spoil(archive)

        with pytest.raises(CustodyBroken, match=what):
            verify_bundle(path)

    def test_a_link_in_an_archive_is_named(self, made: Office, tmp_path: Path) -> None:
        """An unzip would make a symbolic link of such an entry."""
        data = bytearray((made.folder / "b.zip").read_bytes())
        at = data.rindex(b"vault/memory/host.lime") - 8
        assert data[at + 2 : at + 4] == b"\x24\x81"
        data[at + 2 : at + 4] = b"\xff\xa1"
        path = tmp_path / "link.zip"
        path.write_bytes(bytes(data))

        with pytest.raises(CustodyBroken, match=r"host\.lime' is a symbolic link"):
            verify_bundle(path)

    def test_an_entry_twice_is_refused(self, tmp_path: Path) -> None:
        """Readers differ in which of the two they take."""
        write_to = tmp_path / "one.zip"
        with write_to.open("wb") as stream:
            write_archive(
                stream, {"a": lambda: (tmp_path / "content").open("rb")} if self._content(tmp_path) else {}
            )
        one = write_to.read_bytes()
        member = read_archive(write_to)[0]
        (tmp_path / "two.zip").write_bytes(one[: member.end] + one)

        with pytest.raises(CustodyBroken, match="stands twice"):
            read_archive(tmp_path / "two.zip")

    @staticmethod
    def _content(folder: Path) -> bool:
        (folder / "content").write_bytes(b"x")
        return True

    def test_bytes_behind_the_archive_are_seen(self, made: Office, tmp_path: Path) -> None:
        """Nothing hides behind the end."""
        path = tmp_path / "more.zip"
        path.write_bytes((made.folder / "b.zip").read_bytes() + b"x")

        with pytest.raises(CustodyBroken):
            verify_bundle(path)

    def test_what_is_not_there_is_no_bundle(self, tmp_path: Path) -> None:
        """Invalid input, exit code 2; nothing is said about custody."""
        with pytest.raises(InvalidArgument):
            verify_bundle(tmp_path / "nothing.zip")

    def test_a_pipe_is_no_bundle(self, tmp_path: Path) -> None:
        """Reading it would wait for ever."""
        os.mkfifo(tmp_path / "pipe")

        with pytest.raises(InvalidArgument, match="no file and no folder"):
            verify_bundle(tmp_path / "pipe")

    @pytest.mark.parametrize("data", [b"", b"PK", b"PK\x03\x04", b"\x00" * 100, b"PK\x05\x06" + b"\x00" * 18])
    def test_what_is_no_archive_is_broken(self, tmp_path: Path, data: bytes) -> None:
        """A download that was cut to nothing is broken, not a crash."""
        (tmp_path / "b.zip").write_bytes(data)

        with pytest.raises(CustodyBroken):
            verify_bundle(tmp_path / "b.zip")


MUTATIONS = st.tuples(
    st.sampled_from(["flip", "delete", "insert", "cut", "double", "zero"]),
    st.floats(min_value=0, max_value=1, exclude_max=True),
    st.integers(min_value=1, max_value=255),
    st.integers(min_value=1, max_value=400),
)


def mutated(data: bytes, kind: str, where: float, value: int, length: int) -> bytes:
    """Return the bytes with one change; equal only where the change is none."""
    at = int(where * len(data))
    match kind:
        case "flip":
            return data[:at] + bytes([data[at] ^ value]) + data[at + 1 :]
        case "delete":
            return data[:at] + data[at + length :]
        case "insert":
            return data[:at] + bytes([value]) * length + data[at:]
        case "cut":
            return data[:at]
        case "double":
            return data[: at + length] + data[at:]
        case _:
            return data[:at] + b"\0" * len(data[at : at + length]) + data[at + length :]


@settings(
    max_examples=300, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(mutation=MUTATIONS)
def test_any_single_mutation_of_an_archive_is_detected(
    made: Office, tmp_path: Path, mutation: tuple[str, float, int, int]
) -> None:
    """Whatever happens to the bytes of a bundle, verification says so and never crashes."""
    whole = (made.folder / "b.zip").read_bytes()
    spoilt = mutated(whole, *mutation)
    path = tmp_path / "spoilt.zip"
    path.write_bytes(spoilt)

    if spoilt == whole:
        verify_bundle(path)
    else:
        with pytest.raises(CustodyBroken):
            verify_bundle(path)


@settings(
    max_examples=200, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(data=st.data(), mutation=MUTATIONS)
def test_any_single_mutation_of_a_file_is_detected(
    made: Office, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject,
    mutation: tuple[str, float, int, int],
) -> None:  # fmt: skip
    """The same of each file of a folder: nothing is outside of the signature."""
    source = made.folder / "b"
    names = sorted(each.relative_to(source).as_posix() for each in source.rglob("*") if each.is_file())
    name = data.draw(st.sampled_from(names))
    whole = (source / name).read_bytes()
    spoilt = mutated(whole, *mutation)
    copy = tmp_path_factory.mktemp("copy") / "b"
    shutil.copytree(source, copy)
    (copy / name).chmod(0o644)
    (copy / name).write_bytes(spoilt)

    if spoilt == whole:
        verify_bundle(copy)
    else:
        with pytest.raises(CustodyBroken):
            verify_bundle(copy)
    shutil.rmtree(copy)


@settings(
    max_examples=60, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(order=st.permutations(range(8)), drop=st.integers(min_value=0, max_value=8))
def test_no_other_order_or_choice_of_ledger_lines_verifies(
    made: Office, tmp_path_factory: pytest.TempPathFactory, order: list[int], drop: int
) -> None:
    """Lines that were moved or left out never verify, by themselves or in the bundle."""
    lines = (made.folder / "b" / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    chosen = [lines[n] for n in order if n < len(lines)][:drop]
    copy = tmp_path_factory.mktemp("copy") / "b"
    shutil.copytree(made.folder / "b", copy)
    (copy / "ledger.jsonl").chmod(0o644)
    (copy / "ledger.jsonl").write_bytes(b"".join(chosen))

    if chosen != lines:
        with pytest.raises(CustodyBroken):
            verify_bundle(copy)
    shutil.rmtree(copy)


class TestExport:
    def test_files_of_the_vault_are_recorded_before_they_are_exported(self, made: Office) -> None:
        """What somebody put there by hand is in the ledger, with its digest."""
        chain = made.custody.keep(made.store.runs()[0].run_id).chain

        (deposit,) = [each for each in chain.records if each["id"] == "vault/memory/host.lime"]

        assert deposit["body"]["item"]["bytes"] == 16

    def test_a_file_that_was_changed_in_the_vault_is_missing(self, office: Office) -> None:
        """The ledger names another digest: the bundle is exported without it, and says so."""
        run_id = office.whole_run()
        vault = LocalVault(office.custody.directory / "vault")
        path = Path(vault.put("inc-1", "disk.raw", b"one").location)
        office.export(run_id, "first.zip")
        path.chmod(0o600)
        path.write_bytes(b"two")

        parts, signer = office.custody.parts(office.custody.keep(run_id), 1 << 20)
        write_bundle(compose(parts, signer), office.folder / "second.zip")

        assert parts.missing == ["disk.raw"]
        assert (
            "disk.raw is not in the bundle: missing" in verify_bundle(office.folder / "second.zip").warnings
        )

    def test_a_file_that_changes_while_it_is_exported_stops_the_export(self, office: Office) -> None:
        """What is signed is what the ledger names, or nothing is."""
        run_id = office.whole_run()
        path = Path(LocalVault(office.custody.directory / "vault").put("inc-1", "disk.raw", b"one").location)
        parts, signer = office.custody.parts(office.custody.keep(run_id), 1 << 20)
        path.chmod(0o600)
        path.write_bytes(b"two")

        with pytest.raises(EvidenceError, match=r"disk\.raw changed while it was exported"):
            compose(parts, signer)

    def test_a_signed_bundle_with_another_file_than_the_ledger_names_is_broken(self, office: Office) -> None:
        """The key alone does not make evidence: the file must be the one that was recorded."""
        run_id = office.whole_run()
        LocalVault(office.custody.directory / "vault").put("inc-1", "disk.raw", b"one")
        parts, signer = office.custody.parts(office.custody.keep(run_id), 1 << 20)
        (item,) = parts.items
        path = Path(item.location)
        path.chmod(0o600)
        path.write_bytes(b"two")
        swapped = replace(item, sha256=hashlib.sha256(b"two").hexdigest())
        write_bundle(compose(replace(parts, items=[swapped]), signer), office.folder / "b.zip")

        with pytest.raises(CustodyBroken, match=r"disk\.raw: is not the file that the ledger names"):
            verify_bundle(office.folder / "b.zip")

    def test_large_files_stay_where_they_are(self, office: Office) -> None:
        """They are referred to by their hash, and the receiver is told."""
        run_id = office.whole_run()
        LocalVault(office.custody.directory / "vault").put("inc-1", "disk.raw", b"x" * 5_000)
        parts, signer = office.custody.parts(office.custody.keep(run_id), 4_096)
        write_bundle(compose(parts, signer), office.folder / "small")

        verdict = verify_bundle(office.folder / "small")

        assert [each["bytes"] for each in verdict.references] == [5_000]
        assert not (office.folder / "small" / "vault").exists()

    def test_a_ledger_that_grows_meanwhile_is_exported_as_it_was(self, office: Office) -> None:
        """Another run of the incident ends while a bundle is written."""
        run_id = office.whole_run()
        parts, signer = office.custody.parts(office.custody.keep(run_id), 1 << 20)
        office.anew().keep(office.whole_run())

        write_bundle(compose(parts, signer), office.folder / "b.zip")

        assert verify_bundle(office.folder / "b.zip").records == 5

    @pytest.mark.parametrize("name", ["b.zip", "b"])
    def test_only_we_may_read_it(self, office: Office, name: str) -> None:
        """Collected files may hold passwords: other users of the machine do not see them."""
        out = office.export(office.whole_run(), name)

        for path in (out, *out.rglob("*")):
            assert path.stat().st_mode & 0o077 == 0, path

    def test_nothing_is_overwritten(self, office: Office) -> None:
        """An earlier export stays as it is."""
        run_id = office.whole_run()
        office.export(run_id, "b.zip")

        with pytest.raises(InvalidArgument, match="exists already"):
            office.export(run_id, "b.zip")

    def test_an_export_that_fails_leaves_nothing(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Half a bundle would look like one."""
        run_id = office.whole_run()
        parts, signer = office.custody.parts(office.custody.keep(run_id), 1 << 20)
        sources = compose(parts, signer)

        def full(*_: object) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        for name in ("b.zip", "b"):
            with pytest.raises(VaultUnavailable, match="disk is full"):
                write_bundle(sources, office.folder / name)

        assert sorted(each.name for each in office.folder.iterdir() if "b" in each.name.split(".")) == []

    def test_a_bundle_of_a_run_without_evidence_verifies(self, office: Office) -> None:
        """A run that is going on, with nothing yet, has a key and a journal."""
        run_id = office.begin("inc-2")

        verdict = verify_bundle(office.export(run_id, "b.zip"))

        assert (verdict.records, verdict.journals) == (1, 1)

    def test_too_much_for_a_zip_is_told(self, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
        """The hint names the folder form."""
        monkeypatch.setattr("forensics.archive.LARGEST_BYTES", 1_000)

        with pytest.raises(EvidenceError, match="too much for one ZIP"):
            office.export(office.whole_run(), "b.zip")


@pytest.mark.parametrize(
    "form", [str, str.upper, lambda f: f"SHA256:{f}", lambda f: ":".join(re.findall("..", f))]
)
def test_a_fingerprint_may_be_written_in_many_ways(form: Callable[[str], str]) -> None:
    """As openssl, ssh and people write it."""
    fingerprint = LocalSigner.generate().public.fingerprint

    assert expected_fingerprint(form(fingerprint)) == fingerprint


def test_a_fingerprint_may_be_a_key_file(tmp_path: Path) -> None:
    """Somebody was given the key itself."""
    key = LocalSigner.generate().public
    (tmp_path / "key.pem").write_text(key.pem)

    assert expected_fingerprint(str(tmp_path / "key.pem")) == key.fingerprint
    with pytest.raises(InvalidArgument):
        expected_fingerprint("nonsense")


def test_the_manifest_is_canonical(made: Office) -> None:
    """Anybody's JSON reader sees what was signed."""
    text = (made.folder / "b" / "manifest.json").read_text()

    assert json.dumps(json.loads(text), sort_keys=True, separators=(",", ":")) + "\n" == text
