"""Characters of other scripts that people read as a Latin letter.

From Unicode's `confusables.txt` (UTS 39), as far as one letter looks like one letter, for scripts that today's fonts
have; and Cyrillic and Greek letters that stand for Latin ones in deliberate spellings. All are case folded.
"""

LOOK_ALIKES = {
    "a": "ɑαδаᎪᗅꓮ",
    "b": "ƅβвъьѣҍᏏᏴᑲᖯᗷꓐꞵ",
    "c": "сᏟᴄⲥꓚ𐐽",
    "d": "ԁᎠᏧᑯᗞᗪꓒꓓ",
    "e": "εеэєҽᎬꓰꬲ",
    "f": "ϝքᖴẝꓝꞙꬵ𝈓",
    "g": "ƍɡԍցᏀᏳᶃꓖ",
    "h": "ηнңһհᎻᏂᕼⲏꓧ",
    "i": "ıɩɪιіӏᎥꙇ",
    "j": "ʝϳјᎫᒍꓙ",
    "k": "κкҝᏦⲕꓗ",
    "l": "ǀᏞᒪⲓⳑꓡꓲ𐑃𝈪",
    "m": "μϻмᎷᗰⲙꓟ",
    "n": "πипոռⲛꓠ",
    "o": "θοσоօᴏᴑⲟꓳꬽ𐐬",
    "p": "ρрᏢᑭⲣꓑ",
    "q": "ԛգզ",
    "r": "ʀгяᎡᎱᏒᖇᴦⲅꓣꭇꭈ𝈖",
    "s": "ƽѕտᏕᏚꓢꜱ𐑈",
    "t": "τтҭᎢⲧꓔ",
    "u": "ʋυцџսᑌᴜꓴꞟꭎꭒ",
    "v": "νѵᏙᐯᴠꓦ𝈍",
    "w": "ɯωшщѡԝաᎳᏔᴡꓪ",
    "x": "χжхᕁᕽ᙭᙮ⲭꓫꭓ",
    "y": "ɣʏγучүұᎩᎽᶌỿⲩꓬꭚ",
    "z": "ζᏃᴢꓜ𐋵",
}
"""Each Latin letter with what looks like it."""

READ_AS_LETTERS = {"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s", "|": "i", "l": "i"}
"""ASCII characters that are read as another letter, as in `g1ft` or `PayPaI`: `i`, `l` and `1` count as one."""
