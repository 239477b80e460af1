"""The colour maps' table, by matplotlib.

    pip install matplotlib==3.11.2 numpy && python colour_maps.py

Writes src/model/colour_maps.ppm: a picture (binary PPM) of 256 x 4 pixels, whose rows are magma,
viridis, inferno and plasma as 8-bit colours, as `colormap(x, bytes=True)` makes them: 255 times the
map's value, rounded down. The maps are in the public domain (CC0) by their authors, Nathaniel Smith,
Stefan van der Walt and Eric Firing.
"""

from pathlib import Path

import matplotlib
import numpy as np

entries = np.arange(256)
rows = [matplotlib.colormaps[name](entries, bytes=True)[:, :3] for name in ("magma", "viridis", "inferno", "plasma")]
picture = b"P6\n256 4\n255\n" + np.stack(rows).tobytes()
Path(__file__).parents[2].joinpath("src/model/colour_maps.ppm").write_bytes(picture)
print(f"{len(picture)} bytes")
