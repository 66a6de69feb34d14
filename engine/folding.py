"""Vietnamese text made comparable: case, spaces, dashes, and where a tone mark stands."""

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

_TONES = "\u0300\u0301\u0303\u0309\u0323"  # huyền sắc ngã hỏi nặng
_DASHES = str.maketrans(dict.fromkeys("–—−‐‑", "-"))


def folded(text: str) -> str:
    """Return text for comparing: NFC, lower case, one space and dash, nothing invisible."""
    words = unicodedata.normalize("NFC", text).casefold().translate(_DASHES)
    shown = "".join(c for c in words if unicodedata.category(c) != "Cf")
    return " ".join(shown.split())


@lru_cache(maxsize=65536)
def bare(text: str) -> str:
    """Return folded text without any diacritic: `Quý` and `Qúi` begin alike, `đ` is `d`."""
    apart = unicodedata.normalize("NFKD", folded(text))
    return "".join(c for c in apart if not unicodedata.combining(c)).replace("đ", "d")


@dataclass(frozen=True, slots=True)
class Syllable:
    """One written word: its letters without the tone, and the tone.

    Tone marks stand on the first or the second vowel (`hoá`, `hóa`): the same syllable. At the
    end of a syllable i and y are written for each other (`kĩ`, `kỹ`).
    """

    letters: str
    tone: str

    @property
    def bare(self) -> str:
        """The letters without any mark."""
        return bare(self.letters)

    def lacks_marks_of(self, other: "Syllable") -> bool:
        """Tell whether this is `other` with marks left out, and none put in."""
        return (
            len(self.letters) == len(other.letters)
            and self.tone in {"", other.tone}
            and all(
                mine in {full, bare(full)}
                for mine, full in zip(self.letters, other.letters, strict=True)
            )
        )


@lru_cache(maxsize=65536)
def syllable(word: str) -> Syllable:
    """Return the syllable of a folded word."""
    apart = unicodedata.normalize("NFD", word)
    tone = "".join(c for c in apart if c in _TONES)
    letters = unicodedata.normalize("NFC", "".join(c for c in apart if c not in _TONES))
    if letters.endswith("i") and letters[:-1] in _BEFORE_Y:
        letters = letters[:-1] + "y"
    return Syllable(letters, tone)


# Consonants after which a final i may be written y: kĩ/kỹ, lí/lý, mĩ/mỹ, sĩ/sỹ, tỉ/tỷ, quí/quý.
_BEFORE_Y = frozenset({"h", "k", "l", "m", "qu", "s", "t", "v"})
