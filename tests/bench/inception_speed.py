"""Images per second of pytorch-fid's Inception-v3 with random weights.

    python tests/bench/inception_speed.py

Batches of 16 images of 299 x 299 on two threads; the fastest of six batches counts. The same of
this project: the ignored test `inception::tests::speed`.
"""

import os
import time

import torch

import reference  # noqa: F401, for inception
import inception


@torch.no_grad()
def main():
    extractor, _, _ = inception.build()
    images = inception.pictures(299, 299).repeat(8, 1, 1, 1)
    best = float("inf")
    for _ in range(7):
        start = time.perf_counter()
        extractor(images)
        best = min(best, time.perf_counter() - start)
    print(f"pytorch-fid: {len(images) / best:.2f} images/s, load {os.getloadavg()[0]:.2f}")


if __name__ == "__main__":
    torch.set_num_threads(2)
    main()
