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
"""What is a lab's stays a lab's, whether or not something listens there."""

from collections.abc import Iterator
from concurrent import futures
import contextlib
import functools
from pathlib import Path
import socket

import pytest

from lab import errors
from lab import ports

MANY = 30


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[range]:
    """Leave hardly more ports than are asked for, and to these tests alone."""
    holder = tmp_path / 'holder'
    holder.mkdir()
    first = ports.choose(MANY, holder)
    monkeypatch.setattr(ports, 'CLAIMS', tmp_path / 'claims')
    monkeypatch.setattr(ports, 'LOWEST', first)
    monkeypatch.setattr(ports, 'HIGHEST', first + MANY)
    yield range(first, first + MANY)
    holder.rmdir()


def labs(directory: Path, number: int) -> list[Path]:
    made = [directory / f'lab-{name}' for name in range(number)]
    for lab in made:
        lab.mkdir()
    return made


def test_labs_that_choose_at_once_share_no_port(
    few: range, tmp_path: Path
) -> None:
    with futures.ThreadPoolExecutor(MANY) as pool:
        chosen = pool.map(
            functools.partial(ports.choose, 1), labs(tmp_path, MANY)
        )

    assert sorted(chosen) == list(few)


def test_a_port_is_its_labs_until_the_lab_is_gone(
    few: range, tmp_path: Path
) -> None:
    one, other = labs(tmp_path, 2)
    first = ports.choose(MANY, one)
    with pytest.raises(errors.LabError, match='no 1 free ports'):
        ports.choose(1, other)

    one.rmdir()

    assert ports.choose(MANY, other) == first == few[0]


def test_a_lab_made_anew_where_one_was_does_not_inherit_its_ports(
    few: range, tmp_path: Path
) -> None:
    (lab,) = labs(tmp_path, 1)
    ports.choose(MANY, lab)
    lab.rmdir()
    ports.give_back()
    lab.mkdir()

    assert ports.choose(MANY, lab) == few[0]


def test_a_port_in_use_is_not_chosen(few: range, tmp_path: Path) -> None:
    with contextlib.closing(socket.socket()) as program:
        program.bind((ports.LOOPBACK, few[7]))
        program.listen()
        (lab,) = labs(tmp_path, 1)
        with pytest.raises(errors.LabError, match='end some of the programs'):
            ports.choose(MANY, lab)

        assert ports.choose(7, lab) in (few[0], *few[8:])
