"""StudySpec to study.toml."""

from typing import Any

from autotune.spec.study import StudySpec


def to_toml(spec: StudySpec, comments: tuple[str, ...] = ()) -> str:
    """A study file that `parse_spec` reads back as the same spec; defaults are left out."""
    lines = [f"# {line}" for line in comments]
    for section, values in spec.model_dump(mode="json", exclude_defaults=True).items():
        written = {key: value for key, value in values.items() if value is not None}
        if written:
            lines += [
                "",
                f"[{section}]",
                *(f"{key} = {_toml(value)}" for key, value in written.items()),
            ]
    return "\n".join(lines).lstrip("\n") + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_toml(k)} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, str):
        return '"' + "".join(_escape(character) for character in value) + '"'
    return repr(value)


def _escape(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else f"\\U{ord(character):08x}"
