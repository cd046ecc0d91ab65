import os
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.db.models import Q, QuerySet

from chatflow.workflows.commands import DatabaseCommand
from chatflow.workflows.knowledge import embeddings, unread
from chatflow.workflows.knowledge.documents import store
from chatflow.workflows.knowledge.models import Chunk, Document
from chatflow.workflows.knowledge.readers import Unreadable, check_size, kind_of, labels, suffixes
from chatflow.workflows.tenants import check_tenant
from chatflow.workflows.users import find_user


class Command(DatabaseCommand):
    help = (
        f"Read documents ({labels()}), so that searches find what they say. What was read before "
        "and has not changed is left alone."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="file or folder")
        parser.add_argument("--user", help="who alone may see them; by default everybody may")
        parser.add_argument(
            "--tenant",
            default="",
            metavar="KEY",
            help="the organisation that alone finds them; with --user, that user's there",
        )
        choice = parser.add_mutually_exclusive_group()
        choice.add_argument("--delete", action="store_true", help="forget them instead")
        choice.add_argument(
            "--prune", action="store_true", help="forget what is gone from the folders, too"
        )

    # How many paths and documents could not be read.
    unread = 0

    def handle(self, *args: Any, **options: Any) -> str:
        owner, tenant = self.owner(options["user"]), self.tenant(options["tenant"])
        mine = Document.objects.owned_by(owner.pk if owner else None, tenant)
        # Unlike resolve(), this takes links that lead in a circle.
        paths = [Path(os.path.realpath(path)) for path in options["paths"]]
        if options["delete"]:
            return self.forget(mine.filter(below(paths)))
        files = [file for path in paths for file in self.files(path)]
        outcomes = [self.ingest(file, owner, tenant) for file in files]
        said = f"{len(files)} documents, {outcomes.count(True)} of them new or changed."
        if options["prune"]:
            folders = [path for path in paths if path.is_dir()]
            gone = mine.filter(below(folders))
            said += " " + self.forget(gone.exclude(path__in=map(printable, files)))
        # Those that the provider failed to give earlier on.
        missing = embeddings.embed_missing(Chunk.objects.filter(document__in=mine))
        said += f" {missing} chunks have no embedding yet." if missing else ""
        if self.unread:
            raise CommandError(f"{said} {self.unread} could not be read.")
        return said

    def owner(self, name: str | None) -> Any:
        if name is None:
            return None
        user = find_user(name)
        if user is None:
            raise CommandError(f"There is no user {name!r}.")
        return user

    def tenant(self, key: str) -> str:
        try:
            return check_tenant(key)
        except ValueError as error:
            raise CommandError(str(error)) from None

    def files(self, path: Path) -> Iterator[Path]:
        """Yield the documents at *path*; hidden files and folders in a folder are none.

        A problem with one path is reported, and keeps no other from being read.
        """
        if path.is_file() and kind_of(path.name):
            yield path
        elif path.is_dir():
            for file in sorted(path.rglob("*")):
                hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
                if not hidden and self.belongs(file, path):
                    yield file
        elif path.exists():
            self.complain(path, f"It is none of {', '.join(suffixes())}.")
        else:
            self.complain(path, "It is not there.")

    def belongs(self, file: Path, folder: Path) -> bool:
        """Whether *file* is a document of the folder's; a link that leads out of it is reported."""
        try:
            inside = Path(os.path.realpath(file)).is_relative_to(folder)
            document = file.is_file() and kind_of(file.name) is not None
            if not inside and (document or file.is_dir()):
                self.complain(file, "It is a link that leads out of the folder.")
            return inside and document
        except OSError as error:
            self.complain(file, error)
            return False

    def ingest(self, file: Path, owner: Any, tenant: str) -> bool | None:
        """Say whether the document is new or changed; None if it can't be read."""
        kind = kind_of(file.name)
        assert kind is not None, "files() yields documents only."
        try:
            check_size(file.stat().st_size)
            _, new = store(file.read_bytes(), kind, owner=owner, tenant=tenant, path=str(file))
        except (Unreadable, OSError) as error:
            self.complain(file, error)
            unread.note(printable(file), error, owner=owner, tenant=tenant)
            return None
        return new

    def complain(self, path: Path, about: object) -> None:
        self.unread += 1
        self.stderr.write(f"{printable(path)}: {about}")

    def forget(self, documents: "QuerySet[Document]") -> str:
        _, counts = documents.delete()
        return f"Forgot {counts.get(Document._meta.label, 0)} documents."


def below(paths: list[Path]) -> Q:
    """Return the condition that a document is one of *paths*, or in one of them."""
    found = Q(pk__in=[])
    for path in paths:
        name = printable(path)
        found |= Q(path=name) | Q(path__startswith=f"{name.rstrip('/')}/")
    return found


def printable(path: Path) -> str:
    """Return the path, with its bytes that are no text, which no database takes, written out."""
    return str(path).encode(errors="backslashreplace").decode()
