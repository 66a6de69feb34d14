"""Files that mean harm, or are merely broken: each its own clear answer, nothing left behind."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from docx import Document
from openpyxl import Workbook
from openpyxl.styles import Font

from documents import annex
from documents.model import FileRefused
from documents.reading import process
from documents.reading.limits import Limits
from tests.documents.test_plan_51_files import grids
from tests.documents.writers import WRITERS, Grid, write_docx, write_pdf, write_xlsx

HEADINGS = ("TT", "Nhiệm vụ", "Cơ quan chủ trì", "Thời gian hoàn thành")
GRID = Grid(["Phụ lục"], HEADINGS, [["1", "Việc", "Sở Nội vụ", "Quý IV/2025"]])


def refusal(path: Path, limits: Limits | None = None) -> str:
    with pytest.raises(FileRefused) as refused:
        process.read(path, limits or Limits())
    vi, en = refused.value.sentence
    assert path.name in vi
    assert path.name in en
    assert "Chưa có gì được lưu" in vi
    return vi


def repacked(source: Path, target: Path, change: Callable[[str, bytes], bytes]) -> Path:
    """The archive with each part passed through `change`."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return target


def test_an_empty_file_is_said_to_be_empty(tmp_path: Path) -> None:
    for kind in WRITERS:
        path = tmp_path / f"rong.{kind}"
        path.touch()

        assert "tệp rỗng" in refusal(path)


def test_an_unknown_kind_of_file_names_the_known_ones(tmp_path: Path) -> None:
    path = tmp_path / "ke-hoach.odt"
    path.write_bytes(b"x")

    assert ".docx, .xlsx, .pdf, .txt" in refusal(path)


@pytest.mark.parametrize("kind", ["docx", "xlsx", "pdf"])
def test_a_wrong_suffix_is_told_with_what_the_file_is(kind: str, tmp_path: Path) -> None:
    right = WRITERS[kind](tmp_path / f"dung.{kind}", GRID)
    wrong = tmp_path / ("sai.docx" if kind != "docx" else "sai.xlsx")
    right.rename(wrong)

    assert f"(.{kind}); đổi đúng đuôi tệp" in refusal(wrong)


@pytest.mark.parametrize("kind", ["docx", "xlsx", "pdf"])
def test_a_truncated_file_is_damaged(kind: str, tmp_path: Path) -> None:
    path = WRITERS[kind](tmp_path / f"cut.{kind}", *grids())
    content = path.read_bytes()
    for share in (0.2, 0.5, 0.95):
        path.write_bytes(content[: int(len(content) * share)])

        assert "tệp hỏng" in refusal(path)


def test_a_file_too_large_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    path = write_docx(tmp_path / "to.docx", GRID)

    assert "lớn hơn" in refusal(path, Limits(file_bytes=1000))


def test_a_zip_bomb_is_refused_by_what_it_unpacks_to(tmp_path: Path) -> None:
    path = tmp_path / "bom.docx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("word/document.xml", b"0" * 300_000_000)

    assert path.stat().st_size < 1_000_000
    assert "quá lớn khi giải nén" in refusal(path)


def test_a_zip_that_lies_about_its_size_is_not_unpacked_beyond_it(tmp_path: Path) -> None:
    path = tmp_path / "doi.docx"
    content = b"<a>" + b" " * 300_000_000 + b"</a>"
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = packed.compress(content) + packed.flush()
    name = b"word/document.xml"
    crc = zlib.crc32(content)
    local = struct.pack(
        "<IHHHHHIIIHH", 0x04034B50, 20, 0, 8, 0, 0, crc, len(body), 100, len(name), 0
    )
    central = struct.pack(
        "<IHHHHHHIIIHHHHHII",
        0x02014B50,
        20,
        20,
        0,
        8,
        0,
        0,
        crc,
        len(body),
        100,
        len(name),
        0,
        0,
        0,
        0,
        0,
        0,
    )
    start = len(local) + len(name) + len(body)
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 1, 1, len(central) + len(name), start, 0)
    path.write_bytes(local + name + body + central + name + end)

    assert "tệp hỏng" in refusal(path)


def test_too_many_entries_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "nhieu.docx"
    with zipfile.ZipFile(path, "w") as archive:
        for n in range(6000):
            archive.writestr(f"word/{n}.bin", b"")

    assert "quá lớn khi giải nén" in refusal(path)


def test_an_xml_bomb_is_refused_for_declaring_entities(tmp_path: Path) -> None:
    laughs = (
        b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol">'
        + b"".join(
            f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">'.encode() for n in range(9)
        )
        + b"]><w>&j;</w>"
    )
    path = repacked(
        write_docx(tmp_path / "a.docx", GRID),
        tmp_path / "cuoi.docx",
        lambda name, old: laughs if name == "word/document.xml" else old,
    )

    assert "DTD" in refusal(path)


def test_an_entity_in_another_encoding_is_refused_too(tmp_path: Path) -> None:
    text = '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>'
    path = repacked(
        write_xlsx(tmp_path / "a.xlsx", GRID),
        tmp_path / "utf16.xlsx",
        lambda name, old: text.encode("utf-16") if name == "xl/workbook.xml" else old,
    )

    assert "DTD" in refusal(path)


def test_xml_nested_without_end_is_refused(tmp_path: Path) -> None:
    deep = b"<a>" * 100_000 + b"</a>" * 100_000
    path = repacked(
        write_docx(tmp_path / "a.docx", GRID),
        tmp_path / "sau.docx",
        lambda name, old: deep if name == "word/document.xml" else old,
    )

    assert "lồng nhau quá sâu" in refusal(path)


def test_a_sheet_of_10_000_columns_is_refused(tmp_path: Path) -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["x"] * 10_000)
    book.save(tmp_path / "rong.xlsx")

    assert "hơn 100 cột" in refusal(tmp_path / "rong.xlsx")


def test_a_sheet_that_is_too_long_is_refused(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "dai.xlsx", GRID)

    assert "có hơn 2 dòng" in refusal(path, Limits(rows=2))


def test_a_macro_file_is_refused(tmp_path: Path) -> None:
    path = write_docx(tmp_path / "macro.docx", GRID)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("word/vbaProject.bin", b"x")

    assert "macro" in refusal(path)


@pytest.mark.parametrize(
    ("name", "said"), [("a.doc", ".doc, .xls"), ("a.xls", ".xlsx"), ("a.xlsm", "macro")]
)
def test_other_formats_of_office_say_what_to_save_them_as(
    name: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(b"x")

    assert said in refusal(tmp_path / name)


def test_a_protected_file_says_to_take_the_password_off(tmp_path: Path) -> None:
    office = tmp_path / "khoa.docx"
    office.write_bytes(
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 512 + "EncryptedPackage".encode("utf-16-le")
    )
    zipped = write_docx(tmp_path / "zip.docx", GRID)
    content = bytearray(zipped.read_bytes())
    central = content.find(b"PK\x01\x02")
    content[central + 8] |= 1  # the bit that says the entry is encrypted
    zipped.write_bytes(content)

    assert "đặt mật khẩu" in refusal(office)
    assert "đặt mật khẩu" in refusal(zipped)


def test_a_protected_pdf_says_to_take_the_password_off(tmp_path: Path) -> None:
    from reportlab.lib.pdfencrypt import StandardEncryption
    from reportlab.pdfgen.canvas import Canvas

    path = tmp_path / "khoa.pdf"
    canvas = Canvas(str(path), encrypt=StandardEncryption("bi-mat", canPrint=0))
    canvas.drawString(100, 100, "x")
    canvas.save()

    assert "đặt mật khẩu" in refusal(path)


def test_the_old_word_format_says_to_save_it_anew(tmp_path: Path) -> None:
    path = tmp_path / "cu.docx"
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 2000)

    assert ".doc, .xls" in refusal(path)


def test_a_scan_is_refused_with_advice(tmp_path: Path) -> None:
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    pixels = b"\x00\xff\x00" * 100
    png = io.BytesIO(_png(10, 10, pixels))
    canvas = Canvas(str(tmp_path / "quet.pdf"))
    canvas.drawImage(ImageReader(png), 0, 0, 500, 700)
    canvas.save()

    assert "ảnh quét" in refusal(tmp_path / "quet.pdf")


def _png(width: int, height: int, pixels: bytes) -> bytes:
    rows = b"".join(b"\0" + pixels[n * width * 3 : (n + 1) * width * 3] for n in range(height))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


# "Kế hoạch thực hiện nhiệm vụ" as the two old encodings write it, read as Windows-1252.
TCVN3 = "KÕ ho¹ch thùc hiÖn nhiÖm vô ph¸t triÓn khoa häc vµ c«ng nghÖ"
VNI = "Keá hoaïch thöïc hieän nhieäm vuï phaùt trieån khoa hoïc vaø coâng ngheä"


@pytest.mark.parametrize("text", [TCVN3, VNI])
def test_old_encodings_are_refused_by_their_letters(text: str, tmp_path: Path) -> None:
    as_bytes, as_unicode = tmp_path / "byte.txt", tmp_path / "chu.txt"
    as_bytes.write_bytes((text + "\n").encode("cp1252") * 5)
    as_unicode.write_text((text + "\n") * 5, encoding="utf-8")
    document = write_docx(tmp_path / "chu.docx", Grid([text] * 5, ()))

    for path in (as_bytes, as_unicode, document):
        assert "TCVN3, VNI" in refusal(path)


def test_old_encodings_are_refused_by_their_font(tmp_path: Path) -> None:
    document = Document()
    document.add_paragraph().add_run("KÕ").font.name = ".VnTime"
    document.save(str(tmp_path / "font.docx"))
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet["A1"] = "KÕ"
    sheet["A1"].font = Font(name="VNI-Times")
    book.save(tmp_path / "font.xlsx")

    assert "TCVN3, VNI" in refusal(tmp_path / "font.docx")
    assert "TCVN3, VNI" in refusal(tmp_path / "font.xlsx")


def test_vietnamese_in_unicode_is_never_taken_for_an_old_encoding() -> None:
    from documents.reading.contents import refuse_legacy
    from tests.factories import SEED

    refuse_legacy("ke-hoach.txt", iter([SEED.read_text(encoding="utf-8")]))


def test_bytes_that_are_no_text_are_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "anh.txt"
    path.write_bytes(bytes(range(256)) * 20)

    assert "không phải tệp chữ" in refusal(path)


def test_a_formula_nobody_calculated_is_not_read_as_empty(tmp_path: Path) -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append([*HEADINGS])
    sheet.append(["1", "Việc", '="Sở"&" Nội vụ"', "Quý IV/2025"])
    book.save(tmp_path / "cong-thuc.xlsx")

    assert "ô C2 có công thức chưa tính" in refusal(tmp_path / "cong-thuc.xlsx")


def test_reading_that_takes_too_long_or_too_much_memory_is_stopped(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "cham.pdf", *grids())

    assert "đọc quá lâu" in refusal(path, Limits(seconds=0.05))
    assert refusal(path, Limits(memory_bytes=40_000_000))


def test_a_document_without_tasks_says_what_is_looked_for(tmp_path: Path) -> None:
    path = write_docx(tmp_path / "thu-moi.docx", Grid(["Thư mời họp"], ("Họ tên", "Chức vụ")))

    with pytest.raises(FileRefused, match="no tasks were found"):
        annex.read(path)


def test_the_reader_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    for kind, write in WRITERS.items():
        path = write(tmp_path / f"a.{kind}", *grids())
        process.read(path)
        path.write_bytes(path.read_bytes()[:-200])
        if kind != "txt":
            refusal(path)

    assert list(temporary.iterdir()) == []
