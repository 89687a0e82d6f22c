"""What the documents print can be run: every command's arguments parse, and every file that they name is there."""

import re
import shlex
from importlib import import_module

import pytest
from conftest import REPO

from fishnet_mmdet.__main__ import COMMANDS
from fishnet_mmdet.commands.arguments import Parser

FOLDERS = ('.', 'docs', 'configs', 'demo/nuclei', 'fishnet_mmdet/trained')
PAGES = sorted(page for folder in FOLDERS for page in (REPO / folder).glob('*.md'))
LAUNCHER = re.compile(r'(?:\w+=\S+ )*tools/(dist|slurm)_(train|test)\.sh ')


def commands_of(page):
    """The commands of a page: indented or fenced lines that start one of ours; a backslash continues a line."""
    text = page.read_text(encoding='utf-8').replace('\\\n', ' ')
    code = re.findall(r'(?m)^ {4,}(.+)$', text) + re.findall(r'(?s)```(?:bash|sh|console)?\n(.+?)```', text)
    for line in '\n'.join(code).splitlines():
        line = re.sub(r'^(\w+=\S+ +)+', '', line.strip())
        if re.match(r'(python (-m fishnet_mmdet|tools/)|tools/|torchrun -m fishnet_mmdet)', line):
            yield line


COMMAND_LINES = sorted({(page.relative_to(REPO).as_posix(), line) for page in PAGES for line in commands_of(page)})


def test_the_documents_have_commands():
    """Or the other tests would test nothing."""
    assert len(COMMAND_LINES) > 30 and {'README.md', 'docs/results.md'} <= {page for page, _ in COMMAND_LINES}


class Parsed(Exception):
    """Ends a command once its arguments are read."""


@pytest.fixture
def parse_only(monkeypatch):
    whole = Parser.parse_args

    def parse(self, *args, **kwargs):
        whole(self, *args, **kwargs)
        raise Parsed

    monkeypatch.setattr(Parser, 'parse_args', parse)


@pytest.mark.parametrize('page, line', COMMAND_LINES)
def test_a_printed_command_parses(page, line, parse_only):
    words = shlex.split(line, comments=True)
    launcher = LAUNCHER.match(line)
    if launcher:
        script, *rest = words
        assert (REPO / script).is_file()
        name = launcher[2]
        if launcher[1] == 'dist':
            # The number of processes follows the config, and for a test the checkpoint.
            del rest[1 if name == 'train' else 2]
        else:
            # The partition and the name of the job stand before the config, the work dir of a training behind it.
            del rest[:2]
            if name == 'train':
                rest.insert(1, '--work-dir')
    elif words[1] == '-m':
        name, *rest = words[3:]
    else:
        script, *rest = words[1:]
        name = re.search(r"main\(\['(\w+)'", (REPO / script).read_text())[1]
    assert name in COMMANDS
    rest = [name_ for word in rest for name_ in braces(word)]
    with pytest.raises(Parsed):
        import_module(f'fishnet_mmdet.commands.{name}').main(rest)
    for word in rest:
        if word.startswith('configs/') and rest[rest.index(word) - 1] not in ('-o', '--out'):
            assert (REPO / word).is_file(), f'{page} names {word}'


def braces(word):
    """A word as a shell expands it: a{b,c} is ab ac."""
    match = re.fullmatch(r'(.*)\{(.+,.+)\}(.*)', word)
    return [match[1] + middle + match[3] for middle in match[2].split(',')] if match else [word]


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.relative_to(REPO).as_posix())
def test_links_lead_somewhere(page):
    text = page.read_text(encoding='utf-8')
    for target in re.findall(r'\]\(([^)\s]+)\)', text):
        if not re.match(r'[a-z]+:|#', target):
            assert (page.parent / target.partition('#')[0]).exists(), f'{page.name} links to {target}'
