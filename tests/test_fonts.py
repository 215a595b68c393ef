"""The font of pictures."""

from stages.fonts import font_of


def test_letters_beyond_ascii_are_drawn_as_themselves() -> None:
    font = font_of(15)
    missing = bytes(font.getmask("\uffff"))
    drawn = {letter: bytes(font.getmask(letter)) for letter in "aäößéłñçøΩж"}
    assert missing not in drawn.values()
    assert len(set(drawn.values())) == len(drawn)
