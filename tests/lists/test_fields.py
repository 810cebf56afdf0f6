import pytest

from local.errors import InputError, Problems
from local.lists.fields import read_fields


def read(path, layout="PATH LABEL -1"):
    problems = Problems()
    lines = list(read_fields(path, layout, problems))
    problems.raise_if_any()
    return lines


def write(tmp_path, content):
    path = tmp_path / "list.txt"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "content",
    [
        b"a/1 0 -1\nb/2 1 -1\n",
        b"a/1 0 -1\r\nb/2 1 -1\r\n",
        b"a/1\t0\t-1\nb/2 \t 1  -1",
        b"  a/1 0 -1 \t\nb/2 1 -1   ",
        b"\xef\xbb\xbfa/1 0 -1\nb/2 1 -1\n",
    ],
    ids=["unix", "windows", "tabs, no final newline", "blanks at the ends", "byte-order mark"],
)
def test_forms_of_text_that_are_fine(tmp_path, content):
    assert read(write(tmp_path, content)) == [(1, ["a/1", "0", "-1"]), (2, ["b/2", "1", "-1"])]


def test_empty_lines_are_skipped_but_counted(tmp_path):
    assert read(write(tmp_path, b"\na b\n  \t\n\nc d"), "X Y") == [(2, ["a", "b"]), (5, ["c", "d"])]


def test_names_keep_unicode_blanks(tmp_path):
    names = ["Łukasz/žluťoučký", "名前/音　声", "no\u00a0break"]
    path = write(tmp_path, "\n".join(names).encode())
    assert [fields for _, fields in read(path, "NAME")] == [[name] for name in names]


@pytest.mark.parametrize(
    "content",
    ["a/ž 0 -1\n".encode("latin2"), "a 0 -1\n".encode("utf-16"), "a 0 -1".encode("utf-16-le")],
)
def test_text_that_is_not_utf8(tmp_path, content):
    path = write(tmp_path, b"a/1 0 -1\n" + content)
    with pytest.raises(InputError, match=r"list.txt:2: is not UTF-8 text"):
        read(path)


@pytest.mark.parametrize("num_fields", [1, 2, 4])
def test_wrong_number_of_fields(tmp_path, num_fields):
    path = write(tmp_path, b"a 0 -1\n" + b"x " * num_fields)
    message = f"list.txt:2: expected 3 fields, 'PATH LABEL -1', but found {num_fields}"
    with pytest.raises(InputError, match=message):
        read(path)


@pytest.mark.parametrize("content, number", [(b"a b\nc d", 2), (b"a b x\nc d y", 3)])
def test_a_last_field_that_may_be_there(tmp_path, content, number):
    lines = read(write(tmp_path, content), "X Y [Z]")
    assert [len(fields) for _, fields in lines] == [number, number]


@pytest.mark.parametrize(
    "content, message",
    [
        (b"a\nb c\n", "1: expected 2 or 3 fields, 'X Y [Z]', but found 1"),
        (b"a b c d\nb c\n", "1: expected 2 or 3 fields, 'X Y [Z]', but found 4 (a path can't"),
        (b"\na b\nc d e\n", "3: expected 2 fields as on line 2, 'X Y', but found 3 (a path can't"),
        (b"a b c\nd e\n", "2: expected 3 fields as on line 1, 'X Y Z', but found 2"),
        (b"", " is empty: expected lines of 'X Y [Z]'"),
    ],
)
def test_the_first_line_that_fits_decides(tmp_path, content, message):
    with pytest.raises(InputError) as error:
        read(write(tmp_path, content), "X Y [Z]")
    assert str(error.value).startswith(f"{tmp_path / 'list.txt'}:{message}")


def test_right_lines_are_read_beside_wrong_ones(tmp_path):
    problems = Problems()
    lines = list(read_fields(write(tmp_path, b"a\nb c\nd e f\n"), "X Y", problems))
    assert lines == [(2, ["b", "c"])]
    assert len(problems) == 2


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_empty_file(tmp_path, content):
    with pytest.raises(InputError, match="list.txt: is empty: expected lines of 'PATH LABEL -1'"):
        read(write(tmp_path, content))


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"none.txt: can't be read \(No such file"):
        read(tmp_path / "none.txt")


def test_directory(tmp_path):
    with pytest.raises(InputError, match=r"can't be read \(Is a directory"):
        read(tmp_path)


def test_a_field_that_comes_any_number_of_times(tmp_path):
    (tmp_path / "list").write_text("a b c d\n\na\na b\n")
    problems = Problems()
    lines = list(read_fields(tmp_path / "list", "MODEL PATH ...", problems))
    assert lines == [(1, ["a", "b", "c", "d"]), (3, ["a"]), (4, ["a", "b"])]
    assert not problems
