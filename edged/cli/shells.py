"""Completions for bash, zsh and fish."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edged.cli.shell_words import Option, Verb

_LONGEST = 72  # characters of a description


def bash(verbs: Sequence[Verb]) -> str:
    """Return the completion for bash, to be sourced or put in ``bash-completion/completions/edged``."""
    return "\n".join(_bash(verbs)) + "\n"


def _bash(verbs: Sequence[Verb]) -> Iterator[str]:
    yield "# Completion of edged for bash; made by `edged completion bash`"
    yield "_edged() {"
    yield "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb= word"
    yield "    # bash splits --option=value into three words"
    yield "    [[ $cur == = ]] && { cur=; prev=${COMP_WORDS[COMP_CWORD-1]}; }"
    yield "    [[ $prev == = ]] && prev=${COMP_WORDS[COMP_CWORD-2]}"
    yield '    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do'
    yield "        [[ $word != -* ]] && { verb=$word; break; }"
    yield "    done"
    yield "    COMPREPLY=()"
    yield "    case $verb in"
    names = " ".join(verb.name for verb in verbs)
    first = shlex.quote(f"{names} help version --help --version")
    yield f'    "") COMPREPLY=($(compgen -W {first} -- "$cur")) ;;'
    yield f'    help) COMPREPLY=($(compgen -W {shlex.quote(names)} -- "$cur")) ;;'
    for verb in verbs:
        yield f"    {verb.name})"
        yield "        case $prev in"
        for option in verb.options:
            if option.value:
                yield f"        {'|'.join(option.words)}) {_bash_value(option)}; return ;;"
        yield "        esac"
        words = " ".join(word for option in verb.options for word in option.words)
        rest = "; ".join(dict.fromkeys(map(_bash_value, verb.arguments))) or ":"
        yield f'        if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W {shlex.quote(words)} -- "$cur"))'
        yield f"        else {rest}; fi ;;"
    yield "    esac"
    yield "}"
    yield "complete -F _edged edged"


def _bash_value(option: Option) -> str:
    if option.choices:
        return f'COMPREPLY+=($(compgen -W {shlex.quote(" ".join(option.choices))} -- "$cur"))'
    if option.kind:
        flag = "-d" if option.kind == "folder" else "-f"
        return (
            f'compopt -o filenames; mapfile -t -O ${{#COMPREPLY[@]}} COMPREPLY < <(compgen {flag} -- "$cur")'
        )
    return ":"


def zsh(verbs: Sequence[Verb]) -> str:
    """Return the completion for zsh, to be put as ``_edged`` into a folder of ``$fpath``."""
    return "\n".join(_zsh(verbs)) + "\n"


def _zsh(verbs: Sequence[Verb]) -> Iterator[str]:
    yield "#compdef edged"
    yield "# Completion of edged for zsh; made by `edged completion zsh`"
    yield "_edged() {"
    yield "    local -a verbs"
    yield "    verbs=("
    for verb in verbs:
        yield f"        {shlex.quote(f'{verb.name}:{_short(verb.help)}')}"
    yield "    )"
    yield "    if (( CURRENT == 2 )); then"
    yield "        _describe -t verbs verb verbs"
    yield "        return"
    yield "    fi"
    yield "    shift words"
    yield "    (( CURRENT-- ))"
    yield "    case $words[1] in"
    for verb in verbs:
        yield f"    {verb.name})"
        yield "        _arguments -s \\"
        lines = [*_zsh_options(verb.options), *_zsh_arguments(verb.arguments)]
        yield " \\\n".join(f"            {line}" for line in lines)
        yield "        ;;"
    yield "    esac"
    yield "}"
    yield 'if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _edged "$@"; else compdef _edged edged; fi'


def _zsh_options(options: Sequence[Option]) -> Iterator[str]:
    for option in options:
        others = "*" if option.many else f"({' '.join(option.words)})"
        value = f":{_zsh_text(option.value)}:{_zsh_action(option)}" if option.value else ""
        for word in option.words:
            equals = "=" if option.value and word.startswith("--") else ""
            yield shlex.quote(f"{others}{word}{equals}[{_zsh_text(_short(option.help))}]{value}")


def _zsh_arguments(arguments: Sequence[Option]) -> Iterator[str]:
    for number, argument in enumerate(arguments, 1):
        place = "*" if argument.many else str(number)
        yield shlex.quote(f"{place}::{_zsh_text(argument.value)}:{_zsh_action(argument)}")


def _zsh_action(option: Option) -> str:
    if option.choices:
        return f"({' '.join(option.choices)})"
    return {"file": "_files", "folder": "_files -/"}.get(option.kind, " ")


def _zsh_text(text: str) -> str:
    """Escape what separates the parts of a specification."""
    return "".join(f"\\{c}" if c in "[]:\\" else c for c in text)


def fish(verbs: Sequence[Verb]) -> str:
    """Return the completion for fish, to be put into ``~/.config/fish/completions/edged.fish``."""
    return "\n".join(_fish(verbs)) + "\n"


def _fish(verbs: Sequence[Verb]) -> Iterator[str]:
    yield "# Completion of edged for fish; made by `edged completion fish`"
    yield "complete -c edged -f"
    yield "complete -c edged -n __fish_use_subcommand -s h -l help -d 'Show the help'"
    yield "complete -c edged -n __fish_use_subcommand -l version -d 'Show the version'"
    for verb in verbs:
        first = f"complete -c edged -n __fish_use_subcommand -a {verb.name}"
        yield f"{first} -d {_fish_text(_short(verb.help))}"
    for verb in verbs:
        seen = f"complete -c edged -n '__fish_seen_subcommand_from {verb.name}'"
        for option in verb.options:
            words = " ".join(
                f"-l {word[2:]}" if word.startswith("--") else f"-s {word[1:]}" for word in option.words
            )
            yield f"{seen} {words}{_fish_value(option)} -d {_fish_text(_short(option.help))}"
        for argument in verb.arguments:
            if argument.choices:
                yield f"{seen} -a {_fish_text(' '.join(argument.choices))}"
            elif argument.kind:
                yield f"{seen} -F"


def _fish_value(option: Option) -> str:
    if not option.value:
        return ""
    if option.choices:
        return f" -x -a {_fish_text(' '.join(option.choices))}"
    files = {"file": " -r -F", "folder": " -x -a '(__fish_complete_directories)'"}
    return files.get(option.kind, " -x")


def _fish_text(text: str) -> str:
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{quoted}'"


def _short(text: str) -> str:
    """Return the first part of a help text, as long as it fits into a line beside a word."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1].rstrip()}…"
