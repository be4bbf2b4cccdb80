"""Physical keys: the names that browsers have for them, and the numbers of the systems; pure.

A key is where it is on the keyboard, whatever the layout writes on it: the W3C's ``code`` in
browsers, Linux' number (``linux/input-event-codes.h``) on the way, X's number less eight.
"""

from __future__ import annotations

from typing import Final

#: Linux' numbers by the W3C's names (UI Events KeyboardEvent code values); the page has the same
#: table in ``static/input_keys.js``.
NUMBERS: Final[dict[str, int]] = {
    "Escape": 1,
    **{f"Digit{digit}": 2 + at for at, digit in enumerate("1234567890")},
    "Minus": 12, "Equal": 13, "Backspace": 14, "Tab": 15,
    **{f"Key{letter}": 16 + at for at, letter in enumerate("QWERTYUIOP")},
    "BracketLeft": 26, "BracketRight": 27, "Enter": 28, "ControlLeft": 29,
    **{f"Key{letter}": 30 + at for at, letter in enumerate("ASDFGHJKL")},
    "Semicolon": 39, "Quote": 40, "Backquote": 41, "ShiftLeft": 42, "Backslash": 43,
    **{f"Key{letter}": 44 + at for at, letter in enumerate("ZXCVBNM")},
    "Comma": 51, "Period": 52, "Slash": 53, "ShiftRight": 54, "NumpadMultiply": 55,
    "AltLeft": 56, "Space": 57, "CapsLock": 58,
    **{f"F{number}": 58 + number for number in range(1, 11)},
    "NumLock": 69, "ScrollLock": 70, "Numpad7": 71, "Numpad8": 72, "Numpad9": 73,
    "NumpadSubtract": 74, "Numpad4": 75, "Numpad5": 76, "Numpad6": 77, "NumpadAdd": 78,
    "Numpad1": 79, "Numpad2": 80, "Numpad3": 81, "Numpad0": 82, "NumpadDecimal": 83,
    "IntlBackslash": 86, "F11": 87, "F12": 88, "IntlRo": 89, "Convert": 92, "KanaMode": 93,
    "NonConvert": 94, "NumpadEnter": 96, "ControlRight": 97, "NumpadDivide": 98,
    "PrintScreen": 99, "AltRight": 100, "Home": 102, "ArrowUp": 103, "PageUp": 104,
    "ArrowLeft": 105, "ArrowRight": 106, "End": 107, "ArrowDown": 108, "PageDown": 109,
    "Insert": 110, "Delete": 111, "NumpadEqual": 117, "Pause": 119, "NumpadComma": 121,
    "IntlYen": 124, "MetaLeft": 125, "MetaRight": 126, "ContextMenu": 127,
}  # fmt: skip

#: Virtual key codes of macOS by Linux' numbers (Carbon's ``Events.h``), which are physical there.
MACOS: Final[dict[int, int]] = {
    NUMBERS[name]: code
    for name, code in {
        "KeyA": 0, "KeyS": 1, "KeyD": 2, "KeyF": 3, "KeyH": 4, "KeyG": 5, "KeyZ": 6, "KeyX": 7,
        "KeyC": 8, "KeyV": 9, "IntlBackslash": 10, "KeyB": 11, "KeyQ": 12, "KeyW": 13,
        "KeyE": 14, "KeyR": 15, "KeyY": 16, "KeyT": 17, "Digit1": 18, "Digit2": 19,
        "Digit3": 20, "Digit4": 21, "Digit6": 22, "Digit5": 23, "Equal": 24, "Digit9": 25,
        "Digit7": 26, "Minus": 27, "Digit8": 28, "Digit0": 29, "BracketRight": 30, "KeyO": 31,
        "KeyU": 32, "BracketLeft": 33, "KeyI": 34, "KeyP": 35, "Enter": 36, "KeyL": 37,
        "KeyJ": 38, "Quote": 39, "KeyK": 40, "Semicolon": 41, "Backslash": 42, "Comma": 43,
        "Slash": 44, "KeyN": 45, "KeyM": 46, "Period": 47, "Tab": 48, "Space": 49,
        "Backquote": 50, "Backspace": 51, "Escape": 53, "MetaRight": 54, "MetaLeft": 55,
        "ShiftLeft": 56, "CapsLock": 57, "AltLeft": 58, "ControlLeft": 59, "ShiftRight": 60,
        "AltRight": 61, "ControlRight": 62, "NumpadDecimal": 65, "NumpadMultiply": 67,
        "NumpadAdd": 69, "NumLock": 71, "NumpadDivide": 75, "NumpadEnter": 76,
        "NumpadSubtract": 78, "NumpadEqual": 81, "Numpad0": 82, "Numpad1": 83, "Numpad2": 84,
        "Numpad3": 85, "Numpad4": 86, "Numpad5": 87, "Numpad6": 88, "Numpad7": 89,
        "Numpad8": 91, "Numpad9": 92, "IntlYen": 93, "IntlRo": 94, "NumpadComma": 95, "F5": 96,
        "F6": 97, "F7": 98, "F3": 99, "F8": 100, "F9": 101, "F11": 103, "F10": 109, "F12": 111,
        "Insert": 114, "Home": 115, "PageUp": 116, "Delete": 117, "F4": 118, "End": 119,
        "F2": 120, "PageDown": 121, "F1": 122, "ArrowLeft": 123, "ArrowRight": 124,
        "ArrowDown": 125, "ArrowUp": 126,
    }.items()
}  # fmt: skip

#: Scan codes of Windows (set 1, with 0xE000 for those with a prefix), where they are not Linux'
#: numbers; those are the same up to 88.
_WINDOWS: Final[dict[str, int]] = {
    "NumpadEnter": 0xE01C, "ControlRight": 0xE01D, "NumpadDivide": 0xE035,
    "PrintScreen": 0xE037, "AltRight": 0xE038, "Home": 0xE047, "ArrowUp": 0xE048,
    "PageUp": 0xE049, "ArrowLeft": 0xE04B, "ArrowRight": 0xE04D, "End": 0xE04F,
    "ArrowDown": 0xE050, "PageDown": 0xE051, "Insert": 0xE052, "Delete": 0xE053,
    "MetaLeft": 0xE05B, "MetaRight": 0xE05C, "ContextMenu": 0xE05D, "NumLock": 0xE045,
    "Pause": 0x45, "IntlRo": 0x73, "IntlYen": 0x7D, "Convert": 0x79, "NonConvert": 0x7B,
    "KanaMode": 0x70, "NumpadComma": 0x7E, "NumpadEqual": 0x59,
}  # fmt: skip
_SAME_ON_WINDOWS: Final = 88


def scan_code(number: int) -> int | None:
    """Return Windows' scan code of a key by its number; None where it has none."""
    return _BY_NUMBER.get(number, number if number <= _SAME_ON_WINDOWS else None)


_BY_NUMBER: Final[dict[int, int]] = {NUMBERS[name]: code for name, code in _WINDOWS.items()}
