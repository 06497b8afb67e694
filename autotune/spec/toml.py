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
                *(f"{key} = {toml_value(value)}" for key, value in written.items()),
            ]
    return "\n".join(lines).lstrip("\n") + "\n"


def toml_value(value: Any) -> str:
    """A text, number, truth or list of these as TOML has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    if isinstance(value, dict):
        pairs = (f"{toml_value(key)} = {toml_value(item)}" for key, item in value.items())
        return "{ " + ", ".join(pairs) + " }"
    if isinstance(value, str):
        return '"' + "".join(_escape(character) for character in value) + '"'
    return repr(value)


def _escape(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else f"\\U{ord(character):08x}"
