"""The package's message catalogues: `make messages` brings them up to date.

It takes the messages from the sources, adds new ones to each .po file without a translation, drops
those that are gone, and compiles. Then somebody who speaks the language fills in what is empty.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

PACKAGE = Path(__file__).resolve().parents[2] / "django_jwtsession"
LANGUAGES = ("de", "es", "fr")
# Arguments of each function that are messages, counted from 1; "c" is its context.
KEYWORDS: dict[str, Any] = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "npgettext": ((1, "c"), 2, 3),
    "npgettext_lazy": ((1, "c"), 2, 3),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
}


def sources() -> Iterator[tuple[Path, str]]:
    """Yield each source with its text as Python; templates as Django hands them to xgettext."""
    from django.utils.translation.template import templatize

    for path in sorted(PACKAGE.rglob("*")):
        if path.suffix == ".py":
            yield path, path.read_text(encoding="utf-8")
        elif path.suffix in (".html", ".txt") and "templates" in path.parts:
            yield path, templatize(path.read_text(encoding="utf-8"))


def template() -> Catalog:
    """Return the messages of the sources, without translations."""
    catalogue = Catalog()
    for path, text in sources():
        found = extract("python", BytesIO(text.encode()), KEYWORDS, options={"encoding": "utf-8"})
        for _, message, _, context in found:
            catalogue.add(message, context=context, locations=[(_relative(path), 0)])
    return catalogue


def _relative(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def po_file(language: str) -> Path:
    return PACKAGE / "locale" / language / "LC_MESSAGES" / "django.po"


def read(language: str) -> Catalog:
    """Return a language's catalogue, an empty one where it has no file yet."""
    path = po_file(language)
    if not path.exists():
        return Catalog(
            locale=language,
            project="django_jwtsession",
            header_comment="# Translations of django_jwtsession, under the package's license.",
            last_translator="The django_jwtsession authors",
            language_team="The django_jwtsession authors",
            fuzzy=False,
        )
    with path.open("rb") as file:
        return read_po(file, locale=language)


def compiled(catalogue: Catalog) -> bytes:
    """Return what the .mo file is to hold."""
    out = BytesIO()
    write_mo(out, catalogue)
    return out.getvalue()


def update() -> None:
    """Write the catalogues of all languages."""
    for language in LANGUAGES:
        catalogue = read(language)
        catalogue.update(template(), no_fuzzy_matching=True, update_creation_date=False)
        catalogue.obsolete.clear()
        path = po_file(language)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            write_po(file, catalogue, width=100, include_lineno=False)
        path.with_suffix(".mo").write_bytes(compiled(read(language)))
        empty = [message for message in catalogue if not is_translated(message)]
        print(f"{language}: {len(catalogue)} messages, {len(empty)} to be translated")


def is_translated(message: Message) -> bool:
    """Tell whether a message has its translation, in each plural form."""
    forms = [message.string] if isinstance(message.string, str) else message.string
    return bool(forms) and all(forms)


if __name__ == "__main__":
    update()
