"""What a visitor did last in a tab counts, in whatever order the server comes to hear of it."""

from studio.ui.last_done import MAX_TABS, LastDone


def test_what_was_done_earlier_is_too_late_however_it_arrives() -> None:
    done = LastDone()
    assert done.is_last("one", 2.0)
    assert not done.is_last("one", 1.0)
    assert done.is_last("one", 2.0), "asked again while nothing else was done"
    assert done.is_last("two", 1.0), "each tab has its own"
    assert done.is_last("one", 3)
    assert not done.is_last("one", 2.0)


def test_a_moment_that_is_none_is_before_every_other() -> None:
    done = LastDone()
    assert done.is_last("one", None), "nothing was done yet"
    assert done.is_last("one", 5.0)
    for sent in (None, "7", float("nan")):
        assert not done.is_last("one", sent)
    assert not done.is_last("one", 4.0), "and spoils nothing for what comes after it"


def test_only_so_many_tabs_are_remembered() -> None:
    done = LastDone()
    for tab in range(MAX_TABS + 1):
        done.is_last(str(tab), 2.0)
    assert done.is_last("0", 1.0), "the oldest is forgotten"
    assert not done.is_last(str(MAX_TABS), 1.0)
