import pytest

from service.core.framing.trailer import without_trailer


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b"", b""),
        (b"<1>a", b"<1>a"),
        (b"<1>a\n", b"<1>a"),
        (b"<1>a\r\n", b"<1>a"),
        (b"<1>a\r", b"<1>a"),
        (b"<1>a\0", b"<1>a"),
        (b"<1>a\n\0", b"<1>a"),
        (b"<1>a\0\r\n", b"<1>a"),
        (b"<1>a\0\0\n\0\0", b"<1>a"),
        (b"<1>a\n\n", b"<1>a\n"),
        (b"<1>a\r\r\n", b"<1>a\r"),
        (b"<1>a\t", b"<1>a\t"),
        (b"<1>a \n", b"<1>a "),
        (b"\n<1>a", b"\n<1>a"),
        (b"\0\0", b""),
        (b"\n", b""),
    ],
)
def test_one_line_end_and_any_nuls(data: bytes, wanted: bytes) -> None:
    assert without_trailer(data) == wanted
