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
"""The one error of the lab, and how it shows what a server said last."""

from pathlib import Path


class LabError(Exception):
    """Something a person can act on: what, what was expected, what to do."""


class Cancelled(Exception):
    """The work was given up because another part failed, or on Ctrl-C."""


def log_tail(log: Path, lines: int = 12) -> str:
    """Give the end of a log, indented, to go below an error message."""
    try:
        text = log.read_text(errors='replace')
    except OSError:
        return f'    (no log at {log})'
    tail = [f'    {line[:300]}' for line in text.splitlines()[-lines:]]
    return '\n'.join([f'  the end of {log}:', *tail])
