"""Tracking values as a URL brings them: which can be read exactly, and which can't, and why."""

from __future__ import annotations

# Raw text behind "tracking_data=", and what it says.
READABLE = {
    "plain": ("2001_1000_abcdefg", "2001_1000_abcdefg"),
    "plus-is-a-space": ("a+b", "a b"),
    "escaped-plus": ("a%2Bb", "a+b"),
    "escaped-space": ("a%20b", "a b"),
    "outer-spaces": ("+a+", " a "),
    "only-a-space": ("+", " "),
    "hebrew": ("%D7%A9%D7%9C%D7%95%D7%9D", "שלום"),
    "emoji": ("%F0%9F%8E%B0", "🎰"),
    "decoded-once": ("a%2526b%252B", "a%26b%2B"),
    "reserved": ("%26%3D%23%3F%2F", "&=#?/"),
    "equals-sign": ("a=b=c", "a=b=c"),
    "semicolon": ("a;tracking_data=b", "a;tracking_data=b"),
    "quotes-and-tags": ("%22%27%3Cscript%3E", "\"'<script>"),
    "lower-case-escape": ("%d7%a9", "ש"),
    "50-letters": ("x" * 50, "x" * 50),
    "50-two-byte-letters": ("%C3%A9" * 50, "é" * 50),
    "50-emoji": ("%F0%9F%8E%B0" * 50, "🎰" * 50),
    "combining": ("e%CC%81", "e\u0301"),
    "zero-width": ("a%E2%80%8Bb", "a\u200bb"),
}
# Raw text that can't be returned exactly, and why.
UNREADABLE = {
    "51-letters": ("x" * 51, "too_long"),
    "51-emoji": ("%F0%9F%8E%B0" * 51, "too_long"),
    "100-kilobytes": ("x" * 100_000, "too_long"),
    "empty": ("", "empty"),
    "nul": ("a%00b", "control_character"),
    "line-feed": ("a%0Ab", "control_character"),
    "tab": ("%09", "control_character"),
    "delete": ("a%7Fb", "control_character"),
    "next-line": ("a%C2%85b", "control_character"),
    "replacement-character": ("a%EF%BF%BDb", "undecodable"),
    "invalid-utf-8": ("a%ffb", "undecodable"),
    "half-a-sequence": ("a%D7", "undecodable"),
    "overlong-nul": ("%C0%80", "undecodable"),
    "surrogate": ("%ED%A0%80", "undecodable"),
    "latin-1": ("caf%E9", "undecodable"),
    "percent-alone": ("%", "undecodable"),
    "percent-at-the-end": ("abc%2", "undecodable"),
    "percent-no-digits": ("%zz", "undecodable"),
    "percent-percent": ("100%%25", "undecodable"),
}
