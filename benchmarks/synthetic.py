"""How many synthetic photos a second one core renders.

    OMP_NUM_THREADS=1 python benchmarks/synthetic.py [--size 96] [--identities 40] [--shots 20]

The peer is the least a photo can cost: encoding and decoding its JPEG. "First" paints each
identity's textures, "again" finds them in memory, "file" is what `render_dataset` asks for, without
decoding. Wall is `time.perf_counter`, best of the rounds; cpu counts this process's time only,
which is the fairer figure on a shared machine.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import cv2

from arcwise.synthetic import Renderer, camera
from arcwise.synthetic.scene import World


def measured(run: Callable[[], int], rounds: int) -> tuple[float, float]:
    """Photos a second by the wall clock and by processor time, the best of some rounds."""
    wall, cpu = [], []
    for _ in range(rounds):
        start, used = time.perf_counter(), time.process_time()
        count = run()
        wall.append(count / (time.perf_counter() - start))
        cpu.append(count / (time.process_time() - used))
    return max(wall), max(cpu)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--identities", type=int, default=40)
    parser.add_argument("--shots", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    renderer = Renderer(0, options.size, skins=max(256, options.identities))
    things, shots = range(options.identities), options.shots

    used = time.process_time()
    for number in range(World.PLATES):
        renderer._world.plate(number)
    for number in range(World.HANDS):
        renderer._world.hand(number)
    print(f"backdrops, other things and hands, once: {time.process_time() - used:.2f} s cpu")

    def all_photos(domain: str) -> int:
        return sum(1 for _ in renderer.photos(things, shots, domain))

    def all_files() -> int:
        return sum(1 for i in things for s in range(shots) if renderer.file(i, s)[0])

    def only_jpeg() -> int:
        for _ in range(200):
            camera.decode(camera.encode(image, 80))
        return 200

    image = renderer.photo(0).image
    rows = [
        ("shop, first", lambda: all_photos("shop"), 1),
        ("shop, again", lambda: all_photos("shop"), options.rounds),
        ("shop, file", all_files, options.rounds),
        ("studio, again", lambda: all_photos("studio"), options.rounds),
        ("only the JPEG", only_jpeg, options.rounds),
    ]
    print(f"{options.size} px{'':12}   wall/s    cpu/s")
    for name, run, rounds in rows:
        wall, cpu = measured(run, rounds)
        print(f"{name:17} {wall:8.0f} {cpu:8.0f}")


if __name__ == "__main__":
    main()
