from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.infra.store_rows import run_python


@pytest.mark.skipif(sys.platform != "linux", reason="glibc only")
def test_arrow_and_all_threads_share_few_heaps(tmp_path: Path) -> None:
    said = run_python(
        """
        import ctypes, sys, threading
        from pathlib import Path
        import pyarrow as pa
        from infra.memory import MAX_ARENAS, bound_allocators
        print(bound_allocators(), pa.default_memory_pool().backend_name)
        free = ctypes.CDLL(None)
        free.malloc.restype = ctypes.c_void_p
        together = threading.Barrier(8)
        def work():
            together.wait()
            free.malloc(1000)
            together.wait()
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        free.fopen.restype = ctypes.c_void_p
        out = ctypes.c_void_p(free.fopen(sys.argv[1].encode(), b"w"))
        free.malloc_info(0, out)
        free.fclose(out)
        print(1 <= Path(sys.argv[1]).read_text().count("<heap nr=") <= MAX_ARENAS)
        """,
        str(tmp_path / "arenas.xml"),
    )
    assert said.split() == ["True", "system", "True"]
