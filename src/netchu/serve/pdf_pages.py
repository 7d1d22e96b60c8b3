"""Pages of a PDF as grey images: python -m netchu.serve.pdf_pages PAGES PIXELS < FILE.pdf > pages.npy.

A process of its own, since a drawing library on a stranger's file may take all time and memory, or crash. Standard
output gets one array (h, w) uint8 a page, each as numpy saves it. Exit status 3: more than PAGES pages.
"""

import math
import sys

import numpy as np

TOO_MANY = 3  # exit status
SIDE = 2400  # pixels that the longer side of a page gets
MEMORY = 2 << 30  # bytes
SECONDS = 25  # of computing


def main() -> int:
    """Draw the pages."""
    most, pixels = int(sys.argv[1]), int(sys.argv[2])
    limit_process()
    import pypdfium2

    document = pypdfium2.PdfDocument(sys.stdin.buffer.read())
    if len(document) > most:
        return TOO_MANY
    side = min(SIDE, math.isqrt(pixels // max(1, len(document))))
    for page in document:
        scale = side / max(1.0, *page.get_size())
        picture = page.render(scale=scale, grayscale=True).to_numpy()
        np.save(sys.stdout.buffer, np.ascontiguousarray(picture.reshape(picture.shape[:2])), allow_pickle=False)
    return 0


def limit_process() -> None:
    """Bound the memory and the time of this process, where the system can."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))


if __name__ == "__main__":
    sys.exit(main())
