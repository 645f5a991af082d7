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


def test_what_the_start_made_is_not_looked_at_again() -> None:
    said = run_python(
        """
        import gc, weakref
        from infra.memory import freeze_start
        class Node: pass
        def ring():
            node = Node()
            node.self = node
            return weakref.ref(node)
        early = ring()
        freeze_start()
        late = ring()
        gc.collect()
        print(early() is None, late() is None, gc.get_freeze_count() > 10_000, len(gc.get_objects()) < 1_000)
        """
    )
    assert said.split() == ["True"] * 4


@pytest.mark.skipif(sys.platform != "linux", reason="glibc only")
def test_freed_memory_between_used_one_goes_back_to_the_system() -> None:
    said = run_python(
        """
        from pathlib import Path
        from infra.memory import bound_allocators, return_memory
        def resident_bytes():
            return 4096 * int(Path("/proc/self/statm").read_text().split()[1])
        bound_allocators()
        blocks = [bytearray(64 * 1024) for _ in range(4096)]
        kept = blocks[::64]
        before = resident_bytes()
        del blocks
        stays = resident_bytes()
        free = return_memory()
        after = resident_bytes()
        print(stays > before - 2**24, free > 2**27, after < before - 2**27, return_memory(2**40) == 0)
        """
    )
    assert said.split() == ["True"] * 4
