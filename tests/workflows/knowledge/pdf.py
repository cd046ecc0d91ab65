"""The smallest PDF that says something, and one that never ends."""

import zlib


def pdf(*pages: str) -> bytes:
    """Return a PDF with a line of text on each page, with some characters beyond ASCII."""
    kids = " ".join(f"{5 + 2 * number} 0 R" for number in range(len(pages)))
    others = sorted({character for text in pages for character in text if ord(character) > 127})
    codes = {character: 128 + number for number, character in enumerate(others)}
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /ToUnicode 4 0 R >>",
        _stream(_meanings(codes)),
    ]
    for number, text in enumerate(pages):
        line = bytes(codes.get(character, ord(character)) for character in text).hex()
        objects += [
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {6 + 2 * number} 0 R"
            " /Resources << /Font << /F1 3 0 R >> >> >>",
            _stream(f"BT /F1 12 Tf 72 720 Td <{line}> Tj ET"),
        ]
    return _file(objects)


def laborious_pdf(pages: int = 2000) -> bytes:
    """Return a PDF of a few hundred KB whose pages share one stream of 200 KB: hours of work."""
    packed = zlib.compress(b"BT /F1 12 Tf 72 720 Td (words) Tj ET\n" * 5400).decode("latin-1")
    kids = " ".join(f"{5 + number} 0 R" for number in range(pages))
    page = (
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
        " /Resources << /Font << /F1 3 0 R >> >> >>"
    )
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {pages} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        f"<< /Length {len(packed)} /Filter /FlateDecode >>\nstream\n{packed}\nendstream",
    ]
    return _file([*objects, *[page] * pages])


def _file(objects: list[str]) -> bytes:
    body, places = "%PDF-1.4\n", []
    for number, each in enumerate(objects, 1):
        places.append(len(body))
        body += f"{number} 0 obj\n{each}\nendobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    return (
        f"{body}xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
        f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF"
    ).encode("latin-1")


def _stream(content: str) -> str:
    return f"<< /Length {len(content)} >>\nstream\n{content}\nendstream"


def _meanings(codes: dict[str, int]) -> str:
    """Return which character each code of the font stands for; ASCII is itself."""
    lines = [f"<{code:02x}> <{ord(character):04x}>" for character, code in codes.items()]
    own = f"{len(lines)} beginbfchar\n" + "\n".join(lines) + "\nendbfchar\n" if lines else ""
    return (
        "1 begincodespacerange\n<00> <ff>\nendcodespacerange\n"
        f"1 beginbfrange\n<20> <7e> <0020>\nendbfrange\n{own}"
    )
