from __future__ import annotations

import sys
import tracemalloc

from amiws_gevent.state.compact import MOST_FORMS, Forms


def test_a_packed_dict_is_equal_and_smaller() -> None:
    fields = {f"field{number}": number for number in range(18)}
    forms = Forms()
    packed = [forms.pack("channel", fields) for _ in range(3)]
    assert packed == [fields] * 3
    assert packed[0] is not packed[1]
    changed = packed[2].copy()
    changed["field0"] = 9
    assert (packed[2]["field0"], changed["field0"]) == (0, 9)
    assert max(map(sys.getsizeof, (*packed, changed))) < sys.getsizeof(dict(fields))


def test_copies_of_a_template_are_as_small_as_what_is_packed_later() -> None:
    fields = {f"field{number}": number for number in range(18)}
    forms = Forms()
    tracemalloc.start()
    try:
        template = forms.template("channel", fields)
        before = tracemalloc.get_traced_memory()[0]
        copies = [template.copy() for _ in range(1_000)]
        copied = tracemalloc.get_traced_memory()[0]
        packed = [forms.pack("channel", fields) for _ in range(1_000)]
        size = tracemalloc.get_traced_memory()[0] - copied
    finally:
        tracemalloc.stop()
    assert copies == packed
    assert copied - before <= size * 1.1


def test_forms_are_bounded() -> None:
    forms = Forms()
    for number in range(MOST_FORMS + 1):
        assert forms.pack(f"form{number}", {"a": number}) == {"a": number}
