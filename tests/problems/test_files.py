"""Files that a user is given: what cannot be written is told early, what is written is whole."""

from pathlib import Path

import pytest

from adjointbench.problems.files import checked_file, checked_folder, replacing


def test_a_folder_is_made_and_nothing_is_left_in_it(tmp_path: Path) -> None:
    made = checked_folder("out", tmp_path / "über" / "zwei")
    assert made.is_dir()
    assert not list(made.iterdir())
    assert checked_folder("out", made) == made


@pytest.mark.parametrize("place", ["file", "file/below", "a" * 300])
def test_what_cannot_be_a_folder_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(ValueError, match=r"out='.*' cannot be a folder \(.*\); name another one"):
        checked_folder("out", tmp_path / place)
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs Linux")
def test_a_folder_that_takes_no_file_is_refused() -> None:
    # Nobody, not even root, makes files there.
    with pytest.raises(ValueError, match="nothing can be written there"):
        checked_folder("out", "/proc/self")


def test_a_file_needs_a_name_and_a_folder(tmp_path: Path) -> None:
    assert checked_file("out", tmp_path / "new" / "rows").parent.is_dir()
    with pytest.raises(ValueError, match="is a folder; name a file"):
        checked_file("out", tmp_path)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "kept"
    target.write_text("before")

    def cut_off() -> None:
        with replacing(target) as part:
            part.write_text("half")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        cut_off()
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("kept", "before")]
    with replacing(target) as part:
        part.write_text("after")
    assert target.read_text() == "after"
