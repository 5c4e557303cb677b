"""Take the pictures of the page in docs/images: every state of the tour of the tests, in real browsers."""

import asyncio
import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

_ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(_ROOT))

from tests.page.tour import tour  # noqa: E402
from tests.page.world import make_voices, open_browsers, serving, visiting  # noqa: E402

_FOLDER = _ROOT / "docs" / "images"
_COLOURS = 256


async def _main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        voices = make_voices(Path(folder))
        async with open_browsers(voices) as browsers, visiting(browsers) as visit, serving() as serve:
            async for state, visitor in tour(serve, visit):
                picture = Image.open(io.BytesIO(await visitor.page.screenshot()))
                reduced = picture.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
                reduced.save(_FOLDER / f"room-{state}.png", optimize=True)
                print(state)


if __name__ == "__main__":
    asyncio.run(_main())
