# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.
"""How this machine gets packages, for a container that is to get them too.

What its apt and its pip are told of mirrors, proxies and certificates holds
in the container as well. A file or directory that pip is told of is bound
below another name, so that it takes no place of the container's own.
"""

import ast
from collections.abc import Iterator
import dataclasses
import os
from pathlib import Path
import re
import subprocess
import sys

DEBIAN = 'http://deb.debian.org/debian'
SUITE = 'bookworm'
_APT = re.compile('^Acquire::https?::.*$', re.MULTILINE)
_PROXIES = ('http_proxy', 'https_proxy', 'no_proxy')
_OF_PIP = frozenset(
    {
        'cert',
        'constraint',
        'default-timeout',
        'extra-index-url',
        'find-links',
        'index-url',
        'no-index',
        'proxy',
        'retries',
        'timeout',
        'trusted-host',
    }
)
_INSIDE = '/srv/host'


@dataclasses.dataclass(frozen=True)
class Access:
    """What a container needs to get packages.

    :ivar apt: text of a file for /etc/apt/apt.conf.d
    :ivar environment: for pip, and for whoever heeds proxies
    :ivar binds: what is to be read of this machine, and where it goes
    :ivar pip_cache: a directory of this machine, kept for the next container
    """

    apt: str
    environment: dict[str, str]
    binds: dict[str, str]
    pip_cache: Path


def mirror() -> str:
    """Where this machine has Debian from, if it is of the same suite."""
    ran = _run('apt-get', 'indextargets', '--format', '$(RELEASE) $(REPO_URI)')
    found = [line.partition(' ') for line in ran.splitlines()]
    uris = [uri for suite, _, uri in found if suite == SUITE]
    return uris[0].rstrip('/') if uris else DEBIAN


def access() -> Access:
    """Look how this machine gets its packages."""
    environment = {
        name: os.environ[name]
        for lower in _PROXIES
        for name in (lower, lower.upper())
        if name in os.environ
    }
    binds: dict[str, str] = {}
    for option, value in _of_pip():
        words = []
        for word in value.split():
            bound = dict(_binds(word))
            binds |= bound
            words.append(_moved(word) if bound else word)
        name = 'PIP_' + option.upper().replace('-', '_')
        environment[name] = ' '.join(words)
    cache = Path(_run(sys.executable, '-m', 'pip', 'cache', 'dir').strip())
    cache.mkdir(parents=True, exist_ok=True)
    apt = '\n'.join(_APT.findall(_run('apt-config', 'dump')))
    return Access(f'{apt}\n', environment, binds, cache)


def _of_pip() -> Iterator[tuple[str, str]]:
    """Give the options that say where pip gets packages, the strongest last.

    pip lists those of the environment first, though they overrule files.
    """
    lines = _run(sys.executable, '-m', 'pip', 'config', 'list').splitlines()
    for line in sorted(lines, key=lambda line: line.startswith(':env:')):
        name, _, value = line.partition('=')
        option = name.rpartition('.')[2]
        if option in _OF_PIP:
            yield option, str(ast.literal_eval(value))


def _binds(word: str) -> Iterator[tuple[str, str]]:
    """Bind what a word names, if that is of this machine.

    An index lies beside the files that it links to.
    """
    path = Path(word.removeprefix('file://'))
    if not path.is_absolute() or not path.exists():
        return
    shown = path.parent if word.startswith('file://') else path
    yield str(shown), f'{_INSIDE}{shown}'


def _moved(word: str) -> str:
    scheme = 'file://' if word.startswith('file://') else ''
    return f'{scheme}{_INSIDE}{word.removeprefix("file://")}'


def _run(*argv: str) -> str:
    ran = subprocess.run(argv, check=True, capture_output=True, text=True)
    return ran.stdout
