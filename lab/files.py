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
"""Files of the lab: readable by their owner alone, never half-written."""

import os
from pathlib import Path


def private_directory(path: Path) -> Path:
    """Make the directory, and those above it, for this user only."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.chmod(0o700)
    return path


def write_private(path: Path, text: str) -> bool:
    """Write a file (0600) in one step; tell whether its text changed."""
    private_directory(path.parent)
    if path.exists() and path.read_text() == text:
        return False
    new = path.with_name(path.name + '.new')
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, 'w') as stream:
        stream.write(text)
    new.replace(path)
    return True


def ini(sections: dict[str, dict[str, object]]) -> str:
    """Render an INI file as oslo.config, Ceph and others read it."""
    lines = []
    for name, options in sections.items():
        lines.append(f'[{name}]')
        lines += [f'{key} = {value}' for key, value in options.items()]
        lines.append('')
    return '\n'.join(lines)
