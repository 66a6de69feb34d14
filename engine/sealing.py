"""Sealing what must not lie open in the database: addresses, phone numbers, tokens.

AES-256-GCM (NIST SP 800-38D) with a random nonce; what is sealed is bound to what it is about,
so a sealed value cannot be moved to another row. The key comes from outside the database.
"""

import base64
import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from engine.errors import EngineError, Sentence

KEY_BYTES = 32
_NONCE_BYTES = 12
_TAG_CHARACTERS = 16


class SealProblem(EngineError):
    """A key is missing or malformed, or something sealed cannot be opened with the keys given."""


@dataclass(frozen=True)
class KeyRing:
    """The keys by their id. The first seals; all of them open.

    A sealed value begins with the id of its key and a colon, so rows that still use an old key
    can be found.
    """

    keys: Mapping[str, bytes]

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self.keys)})"

    @classmethod
    def parse(cls, text: str) -> "KeyRing":
        """Return the ring of `id:base64,id:base64`, the key that seals first.

        Raises:
            SealProblem: An id is empty or doubled, or a key is not 32 bytes of base64.
        """
        keys: dict[str, bytes] = {}
        for entry in text.strip().split(","):
            key_id, _, encoded = entry.strip().partition(":")
            try:
                key = base64.b64decode(encoded, validate=True)
            except ValueError:  # also binascii.Error, and letters that are not ASCII
                key = b""
            if not _is_id(key_id) or key_id in keys:
                raise _malformed()
            if len(key) != KEY_BYTES:
                raise _malformed()
            keys[key_id] = key
        return cls(keys)

    @classmethod
    def kept_in(cls, path: Path) -> "KeyRing":
        """Return the ring of a file only its owner may read; make it at first use.

        Raises:
            SealProblem: The file is not a ring, or cannot be read or made.
        """
        try:
            if not path.exists():
                _make(path)
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError as problem:
            raise SealProblem(
                Sentence(
                    f"Không đọc hoặc tạo được khóa niêm phong {path} ({problem.strerror}). Đặt "
                    "DONDOC_SEAL_KEYS, hoặc cấp quyền cho thư mục dữ liệu.",
                    f"The sealing key {path} cannot be read or made ({problem.strerror}). Set "
                    "DONDOC_SEAL_KEYS, or give access to the data folder.",
                )
            ) from problem
        return cls.parse(text)

    @property
    def current(self) -> str:
        """Return the id of the key that seals."""
        return next(iter(self.keys))

    def seal(self, plain: str, about: str) -> bytes:
        """Return `plain` sealed; `about` says what it belongs to and is needed to open it."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        body = AESGCM(self.keys[self.current]).encrypt(nonce, plain.encode(), about.encode())
        return self.current.encode() + b":" + nonce + body

    def open(self, sealed: bytes, about: str) -> str:
        """Return what was sealed.

        Raises:
            SealProblem: Its key is not on the ring, or it was altered or moved.
        """
        key_id, _, rest = sealed.partition(b":")
        key = self.keys.get(key_id.decode("ascii", "replace"))
        if key is None:
            raise SealProblem(
                Sentence(
                    f"Không có khóa {key_id.decode('ascii', 'replace')!r} để mở dữ liệu đã niêm "
                    "phong. Thêm khóa cũ vào DONDOC_SEAL_KEYS.",
                    f"The key {key_id.decode('ascii', 'replace')!r} that sealed this is missing. "
                    "Add the old key to DONDOC_SEAL_KEYS.",
                )
            )
        try:
            plain = AESGCM(key).decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], about.encode())
        except (InvalidTag, ValueError) as altered:
            raise SealProblem(
                Sentence(
                    "Dữ liệu niêm phong đã bị thay đổi hoặc sai khóa. Kiểm tra DONDOC_SEAL_KEYS, "
                    "khôi phục từ bản sao lưu nếu khóa đúng.",
                    "A sealed value was altered, or the key is another one. Check "
                    "DONDOC_SEAL_KEYS; restore a backup if the key is right.",
                )
            ) from altered
        return plain.decode()

    def fingerprint(self, text: str, about: str) -> bytes:
        """Return a keyed hash to keep beside a sealed value; of the key that seals."""
        return self.fingerprints(text, about)[0]

    def fingerprints(self, text: str, about: str) -> tuple[bytes, ...]:
        """Return the keyed hashes by every key of the ring, of the one that seals first.

        While a key is being replaced, rows found by the old one are not sealed anew yet.
        """
        keys = [hashlib.sha256(b"fingerprint" + key).digest() for key in self.keys.values()]
        return tuple(hmac.digest(key, f"{about}\0{text}".encode(), "sha256") for key in keys)

    def sign(self, text: str) -> str:
        """Return a short tag (80 bits, base32, lower case) only a holder of the key can make."""
        return _tag(self.keys[self.current], text)

    def signed(self, text: str, tag: str) -> bool:
        """Return whether any key of the ring made this tag."""
        return any(hmac.compare_digest(_tag(key, text), tag.lower()) for key in self.keys.values())


def new_key(key_id: str) -> str:
    """Return a new `id:base64` entry of a ring.

    Raises:
        SealProblem: The id is not of letters and digits.
    """
    if not _is_id(key_id):
        raise SealProblem(
            Sentence(
                f"Tên khóa {key_id!r} chỉ được gồm chữ không dấu và chữ số, ví dụ k2.",
                f"The id {key_id!r} of a key has to be of letters and digits, for example k2.",
            )
        )
    return f"{key_id}:{base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()}"


def _is_id(text: str) -> bool:
    return text.isalnum() and text.isascii()


def _make(path: Path) -> None:
    """Write a new ring to a file that appears whole or not at all; whoever was first is kept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mine = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(new_key("k1"))
        with suppress(FileExistsError):
            path.hardlink_to(mine)
    finally:
        mine.unlink()


def _tag(key: bytes, text: str) -> str:
    made = hmac.digest(hashlib.sha256(b"sign" + key).digest(), text.encode(), "sha256")
    return base64.b32encode(made).decode().lower()[:_TAG_CHARACTERS]


def _malformed() -> SealProblem:
    return SealProblem(
        Sentence(
            "DONDOC_SEAL_KEYS phải có dạng id:khóa,id:khóa với khóa 32 byte mã base64; tạo khóa "
            "mới bằng lệnh: dondoc keys new",
            "DONDOC_SEAL_KEYS has to be id:key,id:key with keys of 32 bytes in base64; make one "
            "by: dondoc keys new",
        )
    )
