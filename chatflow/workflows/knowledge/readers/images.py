"""Images: no text is read from them. They are decoded once, so that what is kept is whole.

Pillow is imported where it is used: only the reading process decodes what others have brought.
"""

import io
from typing import ClassVar

from chatflow.workflows.knowledge.readers.base import Reader, Section, Unreadable

# More takes a decoder a second and a model nothing.
MOST_PIXELS = 40_000_000


class Image(Reader):
    """Finds no text, and refuses what is not one whole, still image of its kind."""

    is_text = False
    has_text = False
    # How such a file begins, and what stands behind eight bytes of it.
    magic: ClassVar[bytes]
    magic_behind: ClassVar[bytes] = b""
    # Pillow's name of the format.
    format: ClassVar[str]

    def read(self, content: bytes) -> list[Section]:
        from PIL import Image as Pillow

        # Its own limit is higher, and warns first.
        Pillow.MAX_IMAGE_PIXELS = None
        try:
            with Pillow.open(io.BytesIO(content), formats=[self.format]) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise Unreadable(f"This image has more than {MOST_PIXELS:,} pixels.")
                if getattr(image, "n_frames", 1) > 1:
                    raise Unreadable("This image is animated. Please send a still one.")
                image.load()
        except (Unreadable, MemoryError):
            raise
        except Exception as error:
            # A broken file makes the library raise whatever Python can.
            raise Unreadable("This is not an image that can be read.") from error
        return []

    @classmethod
    def begins(cls, content: bytes) -> bool:
        """Whether the first bytes are those of such an image."""
        return content.startswith(cls.magic) and content[8:].startswith(cls.magic_behind)


class Png(Image):
    kind = "image/png"
    label = "PNG"
    suffixes = (".png",)
    media_types = ("image/png",)
    magic = b"\x89PNG\r\n\x1a\n"
    format = "PNG"


class Jpeg(Image):
    kind = "image/jpeg"
    label = "JPEG"
    suffixes = (".jpg", ".jpeg")
    media_types = ("image/jpeg",)
    magic = b"\xff\xd8\xff"
    format = "JPEG"


class WebP(Image):
    kind = "image/webp"
    label = "WebP"
    suffixes = (".webp",)
    media_types = ("image/webp",)
    magic = b"RIFF"
    magic_behind = b"WEBP"
    format = "WEBP"


class Gif(Image):
    kind = "image/gif"
    label = "GIF"
    suffixes = (".gif",)
    media_types = ("image/gif",)
    magic = b"GIF8"
    format = "GIF"


IMAGES: tuple[Image, ...] = (Png(), Jpeg(), WebP(), Gif())


def is_image(kind: str) -> bool:
    """Whether documents of that kind are images."""
    return any(image.kind == kind for image in IMAGES)


def kind_of_image(content: bytes) -> str | None:
    """Return the kind that the first bytes tell, whatever the file is called; None for no image."""
    return next((image.kind for image in IMAGES if image.begins(content)), None)
