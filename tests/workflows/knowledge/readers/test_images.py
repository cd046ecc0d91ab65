"""Images: whole, still and not too large; whatever the bytes are, nothing else is raised."""

import io
import random
import struct
import zlib
from typing import Any

import pytest
from PIL import Image as Pillow

from chatflow.workflows.knowledge.readers import IMAGES, Unreadable, is_image, kind_of_image, read
from chatflow.workflows.knowledge.readers.images import Image
from tests.workflows.knowledge.readers.contract import HOSTILE


def picture(format_name: str, **options: Any) -> bytes:
    made = io.BytesIO()
    Pillow.new("RGB", (40, 30), "red").save(made, format_name, **options)
    return made.getvalue()


def bomb(width: int, height: int) -> bytes:
    """Return a PNG that says it is that large, and has no data to speak of."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.label)
def test_it_works(image: Image) -> None:
    content = picture(image.format)
    assert kind_of_image(content) == image.kind
    assert is_image(image.kind)
    assert read(content, image.kind) == []


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.label)
def test_what_is_broken(image: Image) -> None:
    content = picture(image.format)
    noise = random.Random(12).randbytes(2000)
    hostile = [*HOSTILE.values(), content[:20], content[: len(content) // 2], content[:12] + noise]
    for each in hostile:
        with pytest.raises(Unreadable):
            read(each, image.kind)


def test_another_format_under_its_name() -> None:
    with pytest.raises(Unreadable, match="not an image"):
        read(picture("JPEG"), "image/png")


def test_too_many_pixels() -> None:
    with pytest.raises(Unreadable, match="pixels"):
        read(bomb(30_000, 30_000), "image/png")


@pytest.mark.parametrize("format_name", ["GIF", "WEBP", "PNG"])
def test_an_animated_one(format_name: str) -> None:
    second = Pillow.new("RGB", (40, 30), "blue")
    content = picture(format_name, save_all=True, append_images=[second])
    with pytest.raises(Unreadable, match="animated"):
        read(content, f"image/{format_name.lower()}")


def test_others_are_none() -> None:
    assert kind_of_image(b"<svg xmlns='http://www.w3.org/2000/svg'/>") is None
    assert kind_of_image(b"") is None
