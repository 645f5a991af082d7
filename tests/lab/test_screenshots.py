from __future__ import annotations

import re
from io import BytesIO

import numpy as np
from PIL import Image

from lab.network import REPOSITORY
from lab.screenshots import COLOURS, FOLDER, MAX_BYTES, SHOTS, packed

PAGE = REPOSITORY / "docs" / "console.md"


def test_every_picture_is_there_small_and_on_the_page() -> None:
    shown = set(re.findall(r"\]\(images/(console-[a-z-]+)\.png\)", PAGE.read_text(encoding="utf-8")))
    assert shown == {shot.name for shot in SHOTS}
    assert {path.stem for path in FOLDER.glob("console-*.png")} == shown
    assert max(path.stat().st_size for path in FOLDER.glob("console-*.png")) <= MAX_BYTES


def test_a_packed_picture_looks_the_same() -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:20] = (11, 107, 98)
    pixels[20:, 30:] = (244, 246, 247)
    picture = BytesIO()
    Image.fromarray(pixels).save(picture, "PNG")
    again = Image.open(BytesIO(packed(picture.getvalue())))
    assert len(again.getcolors(COLOURS) or []) == 3
    assert np.abs(np.asarray(again.convert("RGB"), int) - pixels).max() <= 2
