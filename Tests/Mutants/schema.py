"""Puts many bugs into one copy of the sources: each stands beside what it replaces, and KONTOR_BUG says which one is alive.

The body of a function becomes `if bug == 7 { the body with bug 7 } else { the body }` (known as mutant schemata: Untch, Offutt,
Harrold, "Mutation analysis using mutant schemata", 1993), so that one build is enough for all of them.
"""

import re

# Global and constant at first, so it costs a load and no lock; only `main.swift` sets it, before anything runs.
DECLARATION = "public nonisolated(unsafe) var bug = 0\n"

_TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|#*"""|#*"|[{}()]', re.DOTALL)
_FUNCTION = re.compile(r"(?:^|\s)(?:func\s|init[?(<]|subscript\s*[(<]|deinit\s*$)")
_ACCESSOR = re.compile(r"(?:^|\s)(?:get|set|didSet|willSet|_read|_modify)(?:\s*\(\w+\))?(?:\s+(?:async|throws))*\s*$")
_COMPUTED = re.compile(r"(?:^|\s)var\s+\w+\s*:[^={}]*$")


def blocks(text: str) -> list[tuple[int, int]]:
    """Where the braces of code open and close, outermost first."""
    found, open_braces = [], []
    position = 0
    while token := _TOKEN.search(text, position):
        position = token.end()
        if token[0] == "{":
            open_braces.append(token.start())
        elif token[0] == "}":
            if not open_braces:
                raise ValueError("a brace closes that was not opened")
            found.append((open_braces.pop(), token.start()))
        elif token[0].strip("#") in ('"', '"""'):
            position = _end_of_string(text, position, token[0])
    if open_braces:
        raise ValueError("a brace is never closed")
    return sorted(found)


def _end_of_string(text: str, position: int, opening: str) -> int:
    """Behind the end of a string that begins before `position`, with the strings in its interpolations."""
    hashes = opening.rstrip('"')
    closing = opening.strip("#") + hashes
    while not text.startswith(closing, position):
        if position >= len(text):
            raise ValueError("a string is never closed")
        if text.startswith("\\" + hashes + "(", position):
            position, depth = position + len(hashes) + 2, 1
            while depth:
                token = _TOKEN.search(text, position)
                if not token:
                    raise ValueError("an interpolation is never closed")
                position = token.end()
                if token[0] in "()":
                    depth += 1 if token[0] == "(" else -1
                elif token[0].strip("#") in ('"', '"""'):
                    position = _end_of_string(text, position, token[0])
        else:
            position += 2 if text.startswith("\\", position) and not hashes else 1
    return position + len(closing)


def bodies(text: str) -> list[tuple[int, int]]:
    """The bodies of functions, initializers and accessors that stand in no other one, without their braces."""
    found, starts = [], sorted(position for block in blocks(text) for position in block)
    for start, end in blocks(text):
        if found and start < found[-1][1]:
            continue
        before = max((position for position in starts if position < start), default=-1)
        header = re.sub(r"//[^\n]*", "", text[before + 1:start]).split("\n\n")[-1]
        is_accessor = _ACCESSOR.search(header.rstrip())
        is_computed = _COMPUTED.search(header.rstrip()) and not _ACCESSOR.search(text[start + 1:end].split("{")[0].rstrip())
        if _FUNCTION.search(header) or is_accessor or is_computed:
            found.append((start + 1, end))
    return found


def changed(old: str, new: str) -> tuple[int, int]:
    """What of `old` the bug really changes: where that begins and ends."""
    first = next((index for index, (a, b) in enumerate(zip(old, new)) if a != b), min(len(old), len(new)))
    most = min(len(old), len(new)) - first
    last = next((index for index in range(most) if old[-1 - index] != new[-1 - index]), most)
    return first, len(old) - last


def with_bugs(text: str, bugs: dict[int, tuple[str, str]]) -> tuple[str, dict[int, tuple[int, int]]]:
    """The text with these bugs beside what they replace, and the first and last line of the function of each that fitted."""
    groups = {}
    for number, (old, new) in bugs.items():
        at = text.index(old)
        first, last = (at + offset for offset in changed(old, new))
        body = next(((start, end) for start, end in bodies(text) if start <= first and last <= end), None)
        if body is None:
            continue
        mutated = (text[:at] + new + text[at + len(old):])[body[0]:body[1] + len(new) - len(old)]
        try:
            blocks(mutated)
        except ValueError:
            continue
        groups.setdefault(body, {})[number] = mutated
    result, position, lines = "", 0, {}
    for (start, end), mutants in sorted(groups.items()):
        result += text[position:start]
        line = result.count("\n") + 1
        branches = "".join(f"if bug == {number} {{{mutated}\n}} else " for number, mutated in mutants.items())
        result += f"\n{branches}{{{text[start:end]}\n}}\n"
        position = end
        lines.update(dict.fromkeys(mutants, (line, result.count("\n") + 1)))
    return result + text[position:], lines
