"""One invocation of the command line: how it was called, the way out for what it says, and its exit code."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, cast

import click

from p2pblog.control import client
from p2pblog.errors import UsageError, UserError
from p2pblog.home import Home, find_home
from p2pblog.terminal import Page, Piece, Style, columns, hush, line, write

INTERRUPTED = 130
"""What shells expect of a command that ended by Ctrl-C: 128 and the number of SIGINT."""


class Session:
    """One invocation: how it was called, and the way out for what it says."""

    def __init__(self) -> None:
        self.json = False
        self.folder: str | None = None
        self._is_answered = False

    @property
    def home(self) -> Home:
        """Raises UsageError for a folder that can't be one."""
        if self.folder == "":
            raise UsageError("the home is empty: give a folder after --home")
        try:
            return find_home(self.folder)
        except (RuntimeError, OSError, ValueError) as error:  # unknown ~user, a loop of links, a null byte
            raise UsageError(f"{self.folder or os.environ.get('P2PBLOG_HOME')} cannot be a home: {error}") from error

    @property
    def command(self) -> str:
        """What to type, here and now, to call this p2pblog with this home."""
        folder = self.folder or os.environ.get("P2PBLOG_HOME")
        return self.program + (f" --home {_quoted(folder)}" if folder else "")

    @property
    def program(self) -> str:
        """The same without a home, for what needs none."""
        return _program(sys.argv[0])

    @property
    def columns(self) -> int:
        return columns()

    @property
    def output(self) -> int | None:
        """The descriptor of the standard output; None where it has none."""
        with suppress(AttributeError, ValueError, OSError):  # closed before we began, or one of a test
            return sys.stdout.fileno()
        return None

    def ask(self, route: str, **arguments: Any) -> Any:
        """The daemon's answer. Raises UserError."""
        answer = client.call(self.home, route, **arguments)
        self._is_answered = True
        return answer

    def show(self, document: Any, page: Callable[[], Page]) -> None:
        """The one document or the page; nobody listening any more is no error. Raises UserError where the node has
        answered and the output takes no answer: a person would repeat what is done. Else OSError."""
        if sys.stdout is None:  # it was closed before we began
            return
        try:
            self.deliver(document, page)
        except BrokenPipeError:
            raise click.exceptions.Exit(0) from None
        except OSError as error:
            if not self._is_answered:
                raise
            from p2pblog.disk import reason

            sentence = f"the node did what you asked, but its answer cannot be printed: {reason(error)}"
            raise UserError(sentence) from error

    def deliver(self, document: Any, page: Callable[[], Page]) -> None:
        """The same, where somebody has to get it. Raises OSError."""
        if sys.stdout is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        try:
            if self.json:
                sys.stdout.write(json.dumps(document, ensure_ascii=True) + "\n")
                sys.stdout.flush()
            else:
                write(sys.stdout, page(), _wants_colour(sys.stdout))
        except OSError:
            hush(sys.stdout)
            raise

    def tell(self, page: Page) -> None:
        """An aside to the person, beside the output."""
        if sys.stderr is None:
            return
        try:
            write(sys.stderr, page, _wants_colour(sys.stderr))
        except OSError:
            hush(sys.stderr)

    def fail(self, sentence: str, hint: str | None = None) -> None:
        """One sentence, and the command that helps; each line of the hint is one."""
        sentence = sentence.rstrip(". ")
        end = "" if sentence.endswith(("?", "!")) else "."
        page = [line(Piece("p2pblog:", Style.ERROR), f" {sentence}{end}")]
        for typed in (hint or "").splitlines():
            helps = typed.replace("p2pblog", self.command, 1) if typed.split()[0] == "p2pblog" else typed
            page.append(line("Try: ", Piece(helps, Style.BOLD)))
        self.tell(page)


def _program(called: str) -> str:
    """How the person can call this program again: by name where the shell finds it, else by its path."""
    import shutil
    from pathlib import Path

    path = Path(called)
    if path.name == "__main__.py":
        return f"{_quoted(sys.executable)} -m p2pblog"
    found = shutil.which(path.name)
    return path.name if found is not None and Path(found) == path.absolute() else _quoted(called)


def _quoted(word: str) -> str:
    import shlex

    return shlex.quote(word)


def _wants_colour(stream: Any) -> bool:
    """On a terminal, unless NO_COLOR is set to anything (no-color.org) or the terminal is a dumb one."""
    return bool(stream.isatty()) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


# --- errors become exit codes -----------------------------------------------------------------------------------------


class Commands(click.Group):
    """The group whose errors are one sentence on stderr and whose exit codes are the contract's."""

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> NoReturn:
        session, inner = Session(), cast("Callable[..., Any]", super().main)
        extra = {**extra, "prog_name": "p2pblog", "obj": session}
        try:
            code = inner(*args, standalone_mode=False, **extra)
        except Exception as error:
            code = _exit_code(session, error)
        sys.exit(code if isinstance(code, int) else 0)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        with _no_more_read():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with _no_more_read():
            return super().invoke(ctx)


class Command(click.Command):
    """A command whose every usage error knows of which it is; click's own for an option without its value does not."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise


@contextmanager
def _no_more_read() -> Iterator[None]:
    """Around what may write: whoever closes the pipe before the end of a help has read enough; to click it is a 1."""
    try:
        yield
    except BrokenPipeError:
        if sys.stdout is not None:
            hush(sys.stdout)
        raise click.exceptions.Exit(0) from None


def _exit_code(session: Session, error: Exception) -> int:
    """Say what went wrong and give the code for it."""
    if isinstance(error, click.Abort):
        return INTERRUPTED
    if isinstance(error, click.ClickException):
        return _usage(session, error)
    from p2pblog.control.api import as_user_error

    refused = as_user_error(error)
    if os.environ.get("P2PBLOG_DEBUG"):
        import traceback

        session.tell([line(text) for text in "".join(traceback.format_exception(error)).splitlines()])
    if refused is not None:
        session.fail(refused.sentence, refused.hint)
        return refused.exit_code
    if isinstance(error, OSError) and error.errno:
        session.fail(f"the system says: {os.strerror(error.errno)}")
        return 1
    session.fail(f"internal error ({type(error).__name__}): please report it; P2PBLOG_DEBUG=1 shows where it happened")
    return 1


def _usage(session: Session, error: click.ClickException) -> int:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "p2pblog"
    if type(error).__name__ == "NoArgsIsHelpError":  # since click 8.2
        session.tell([line(text) for text in error.format_message().splitlines()])
    else:
        session.fail(" ".join(_lower(error.format_message()).split()), f"{path} --help")
    return error.exit_code


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]


# --- what commands take -----------------------------------------------------------------------------------------------

this = click.make_pass_decorator(Session)


def _set_json(context: click.Context, _: click.Parameter, chosen: bool) -> None:
    session = context.find_object(Session)
    assert session is not None
    session.json = session.json or chosen


json_option = click.option(
    "--json", is_flag=True, expose_value=False, callback=_set_json, help="Print one JSON document."
)
