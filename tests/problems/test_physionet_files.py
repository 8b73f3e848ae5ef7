"""The records of the PhysioNet challenge: read as they are written, refused where they are not."""

import tarfile
import zipfile

import numpy as np
import pytest

from adjointbench.problems.neural.physionet_files import FEATURES, read

HEAD = "Time,Parameter,Value\n00:00,RecordID,1\n00:00,Age,54\n00:00,Gender,0\n00:00,Weight,-1\n"
RECORDS = {
    "132539": HEAD + "00:07,HR,70\n00:20,HR,80\n12:40,Temp,36\n47:40,HR,100\n",
    "132540": HEAD.replace("-1", "81") + "12:30,HR,90\n",
    "132541": HEAD + "13:10,HR,110\n13:10,Temp,38\n",
    # Nothing is left of it.
    "132542": HEAD,
}


def folder(place, records=RECORDS):
    within = place / "set-a"
    within.mkdir()
    for name, text in records.items():
        (within / f"{name}.txt").write_text(text)
    (within / "Outcomes-a.txt").write_text("RecordID,SAPS-I\n")
    return within


def test_records_are_cleaned_quantised_and_scaled(tmp_path):
    series = read(str(folder(tmp_path)))
    # 12:30 is rounded to the even hour.
    np.testing.assert_allclose(series.times * 48, [0, 12, 13, 48], rtol=1e-12)
    values = np.concatenate([series.train_values, series.test_values])
    mask = np.concatenate([series.train_mask, series.test_mask])
    assert values.shape == mask.shape == (3, 4, 37)
    assert mask.sum() == 3 + 2 + 2
    heart = FEATURES.index("HR")
    assert mask[..., heart].sum() == 4
    low, high = (
        f(series.train_values[..., heart][series.train_mask[..., heart] > 0]) for f in (min, max)
    )
    assert (low, high) == (0.0, 1.0)
    # The mean of 70 and 80 is the least; unknown weights are none.
    assert (values[mask == 0.0] == 0.0).all()
    assert mask[..., FEATURES.index("Weight")].sum() == 1


def test_values_of_one_time_are_averaged(tmp_path):
    series = read(str(folder(tmp_path)), hours=48.0)
    heart = FEATURES.index("HR")
    values = np.concatenate([series.train_values, series.test_values])[..., heart]
    # 75, 90, 110 at the first time and 100 at the last, on one scale.
    found = np.sort([*values[:, 0], values[:, 1].max()])
    steps = np.diff(found) / np.diff(found).sum() * 35.0
    np.testing.assert_allclose(steps, [15.0, 10.0, 10.0], rtol=1e-9)


@pytest.mark.parametrize("kind", ["set-a.tar.gz", "set-a.zip"])
def test_archives_have_the_same_records(tmp_path, kind):
    within, packed = folder(tmp_path), tmp_path / kind
    if kind.endswith("zip"):
        with zipfile.ZipFile(packed, "w") as archive:
            for file in within.iterdir():
                archive.write(file, f"set-a/{file.name}")
    else:
        with tarfile.open(packed, "w:gz") as archive:
            archive.add(within, "./set-a")
    for one, other in zip(read(str(packed)), read(str(within)), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "132543 begins with '', and not 'Time,Parameter,Value'"),
        ("<html>\n", "begins with '<html>'"),
        (HEAD + "00:07,HR\n", "in line 6 '00:07,HR', and not a time, a name and a number"),
        (HEAD + "00:07,HR,nan\n", "as in 07:30,HR,82"),
        (HEAD + "noon,HR,70\n", "in line 6 'noon,HR,70'"),
        (HEAD + "00:07,Pulse,70\n", "a feature of the challenge"),
        (HEAD + "49:07,HR,70\n", "a time from 00:00 to 48:00"),
    ],
)
def test_a_broken_record_is_told_with_its_line(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read(str(folder(tmp_path, {**RECORDS, "132543": text})))


def test_what_is_no_set_of_records_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"path='' does not exist; pass the folder .* set-a"):
        read("")
    with pytest.raises(ValueError, match="does not exist"):
        read(str(tmp_path / "set-b"))
    with pytest.raises(ValueError, match="has 0 records, 0 of them with observations"):
        read(str(tmp_path))
    cut = tmp_path / "set-a.tar.gz"
    cut.write_bytes(b"\x1f\x8b\x08\x00garbage")
    with pytest.raises(ValueError, match=r"set-a\.tar\.gz' cannot be read"):
        read(str(cut))
    within = folder(tmp_path)
    (within / "copy").mkdir()
    (within / "copy" / "132539.txt").write_text(RECORDS["132539"])
    with pytest.raises(ValueError, match="has the record 132539 twice"):
        read(str(within))
    only = dict.fromkeys(("1", "2"), HEAD + "00:07,HR,70\n")
    (tmp_path / "short").mkdir()
    with pytest.raises(ValueError, match="all observations are at the time 0"):
        read(str(folder(tmp_path / "short", only)))
