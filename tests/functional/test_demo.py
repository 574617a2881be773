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
"""What the demo says, and what it expects; nothing is started here."""

from collections.abc import Callable
import io
import os
from pathlib import Path
import subprocess

import pytest
from rich import console

from dcn_distributor.conf import placement
from dcn_distributor.conf import sites as conf_sites
from dcn_distributor.core import images
from dcn_distributor.core import matrix
from dcn_distributor.core import memory as memories
from dcn_distributor.core import sites
from dcn_distributor.core import transfers
from demo import agents
from demo import hints
from demo import news
from demo import pictures
from demo import proof
from demo import screens
from demo import sights
from lab import clusters
from lab import state as lab_state

COLUMNS = 80
ALL = (*pictures.PICTURES, pictures.STREAMED)
DCN1 = images.StoreId('dcn1')
SITES = """\
version: 1
central: {store: central}
sites:
  dcn0: {labels: {region: north}}
  dcn1: {labels: {region: south}}
"""


def demo(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [lab_state.TOP / 'tools/demo', *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def image_of(picture: pictures.Picture, **changes: object) -> images.Image:
    values: dict[str, object] = {
        'id': images.ImageId(f'id of {picture.name}'),
        'name': picture.name,
        'status': 'active',
        'visibility': picture.visibility,
        'owner': 'somebody',
        'tags': frozenset([pictures.TAG]),
        'properties': picture.properties,
        'disk_format': picture.disk_format,
        'container_format': 'bare',
        'size_bytes': 268435456,
        'is_hidden': False,
        'is_protected': False,
        'stores': frozenset(['central']),
        **changes,
    }
    return images.Image(**values)  # type: ignore[arg-type]


Surveys = Callable[[memories.Memory], matrix.Survey]


@pytest.fixture
def surveys(tmp_path: Path) -> Surveys:
    """Give what judges images by the demo's own policies and some memory."""
    (tmp_path / 'sites.yaml').write_text(SITES)
    rules = placement.load(
        str(agents.PLACEMENT),
        conf_sites.load(str(tmp_path / 'sites.yaml')),
    )
    stores = frozenset(map(images.StoreId, ('central', 'dcn0', 'dcn1')))
    return lambda memory: matrix.Survey(
        rules, stores, memory, 0.0, matrix.EVERYTHING
    )


@pytest.fixture
def survey(surveys: Surveys) -> matrix.Survey:
    """Give what judges images of which an agent remembers nothing."""
    return surveys(memories.NOTHING)


def sight_of(*rows: matrix.Row) -> sights.Sight:
    totals = matrix.Totals()
    for row in rows:
        totals.add(row, row.tally())
    sites = tuple(cell.decision.site for cell in rows[0].cells)
    return sights.Sight(rows, totals, sites)


def printed(what: console.RenderableType) -> list[str]:
    out = console.Console(file=io.StringIO(), width=COLUMNS)
    out.print(what)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue().splitlines()


# -- the command line


def test_help_tells_options_and_exit_codes_and_installs_nothing() -> None:
    done = demo('--help')

    assert done.returncode == 0
    assert '--once' in done.stdout
    assert 'Exit codes' in done.stdout
    assert not done.stderr


def test_an_unknown_argument_exits_2() -> None:
    done = demo('--twice')

    assert done.returncode == 2
    assert "'--twice'" in done.stderr


def test_hints_fit_the_terminal_and_name_the_lab(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv('DCN_LAB_DIR', '/tmp/elsewhere')
    lines = hints.text(Path('/tmp/elsewhere')).splitlines()

    assert '  export DCN_LAB_DIR=/tmp/elsewhere' in lines
    assert max(map(len, lines)) < COLUMNS


# -- what is expected


@pytest.mark.parametrize('picture', ALL, ids=lambda p: p.name)
def test_policies_of_the_demo_want_what_it_expects(
    survey: matrix.Survey, picture: pictures.Picture
) -> None:
    row = survey.row(image_of(picture), None)

    for cell in row.cells:
        region = cell.decision.site.labels['region']
        assert cell.decision.wanted == picture.is_at(region)


def test_released_image_is_wanted_everywhere(survey: matrix.Survey) -> None:
    later = next(p for p in pictures.PICTURES if p.name == pictures.LATER)
    row = survey.row(image_of(pictures.released(later)), None)

    assert all(cell.decision.wanted for cell in row.cells)


def test_data_of_a_picture_has_its_size_and_digest(tmp_path: Path) -> None:
    picture = pictures.Picture('one', '', 'public', bool, size_mib=1)
    original = pictures.make(picture, tmp_path)

    assert original.size_bytes == pictures.MIB
    assert len(original.sha256) == 64


# -- what is said


def test_first_sight_tells_the_decision_and_the_state(
    survey: matrix.Survey,
) -> None:
    box = next(p for p in pictures.PICTURES if p.name == 'cipher-box')
    row = survey.row(
        image_of(
            box,
            import_task='a task',
            importing_to=(images.StoreId('dcn0'),),
        ),
        None,
    )
    told = [(one.word, one.text) for one in news.of_row(None, row)]

    assert told == [
        ('wanted', 'cipher-box at dcn0: by policy public (visibility public)'),
        (
            'stays out',
            'cipher-box at dcn1: denied by policy export-ban (property '
            'export_control yes)',
        ),
        ('copying', 'cipher-box at dcn0'),
    ]


def test_nothing_is_told_twice(survey: matrix.Survey) -> None:
    row = survey.row(image_of(pictures.PICTURES[0]), None)

    assert list(news.of_row(row, row)) == []


def streamed(surveys: Surveys, settled_bytes: int) -> matrix.Row:
    """Give the row of an image that is on its way to dcn1 by a stream."""
    image = image_of(pictures.STREAMED)
    lane = transfers.Lane(
        sites.SiteName('dcn1'),
        DCN1,
        transfers.Phase.COPYING,
        settled_bytes=settled_bytes,
        rate_bytes_s=25165824.0,
        eta_s=2.0,
    )
    streams = {
        image.id: {DCN1: memories.Streaming(images.StoreId('central'), lane)}
    }
    return surveys(memories.Memory(streams=streams)).row(image, None)


def test_progress_of_a_stream_is_told_in_steps(surveys: Surveys) -> None:
    def told(before: int, after: int) -> list[str]:
        rows = streamed(surveys, before), streamed(surveys, after)
        return [one.text for one in news.of_row(*rows)]

    assert told(1000, 2000) == []
    assert told(1000, 67108864) == [
        'flood-model at dcn1: 25 %, 64 MiB of 256 MiB, 24 MiB/s, 2.0 s left'
    ]
    assert told(67108864, 70000000) == []


def test_proved_copy_is_told_and_shown(surveys: Surveys) -> None:
    image = image_of(
        pictures.STREAMED, stores=frozenset([images.StoreId('central'), DCN1])
    )
    memory = memories.Memory(verified={image.id: frozenset([DCN1])})
    row = surveys(memory).row(image, None)

    told = [one.text for one in news.of_row(None, row) if 'ver' in one.word]

    assert told == ['flood-model at dcn1']
    assert any(
        'verified' in one
        for one in printed(screens.matrix_table(sight_of(row)))
    )


def test_image_without_data_is_not_told(survey: matrix.Survey) -> None:
    queued = image_of(pictures.PICTURES[0], status='queued')

    assert list(news.of_row(None, survey.row(queued, None))) == []


def test_matrix_of_the_demo_fits_the_terminal_uncut(
    survey: matrix.Survey, surveys: Surveys
) -> None:
    task = images.ImportTask(
        'a task', 'processing', (images.StoreId('dcn0'),), '', 12345678, 0, 0
    )
    rows = [survey.row(image_of(p, import_task='a task'), task) for p in ALL]
    rows.append(streamed(surveys, 200000000))
    lines = printed(screens.matrix_table(sight_of(*rows)))

    assert any('copying 4 %' in line for line in lines)
    assert '…' not in '\n'.join(lines)
    assert max(map(len, lines)) <= COLUMNS


# -- what is proved


def evidence(
    copy: clusters.Copy | None, *, is_wanted: bool = True
) -> proof.Evidence:
    picture = pictures.Picture('image-name-13', '', 'public', bool, 256)
    original = pictures.Original(Path(os.devnull), 268435456, 'a' * 64)
    subject = proof.Subject('an id', picture, original)
    return proof.Evidence(subject, 'dcn0', is_wanted, copy, b'head')


GOOD = clusters.Copy(268435456, 'a' * 64, True, b'head', 0)


def test_copy_like_its_original_is_good() -> None:
    assert evidence(GOOD).is_good


@pytest.mark.parametrize(
    'copy',
    [
        clusters.Copy(268435455, 'a' * 64, True, b'head', 0),
        clusters.Copy(268435456, 'b' * 64, True, b'head', 0),
        clusters.Copy(268435456, 'a' * 64, False, b'head', 0),
        clusters.Copy(268435456, 'a' * 64, True, b'tail', 0),
        clusters.Copy(268435456, 'a' * 64, True, b'head', 4096),
        None,
    ],
    ids=[
        'too short',
        'other bytes',
        'not protected',
        'clone differs',
        'clone is a full copy',
        'not there',
    ],
)
def test_copy_with_a_flaw_is_not_good(copy: clusters.Copy | None) -> None:
    assert not evidence(copy).is_good


def test_copy_that_nobody_wants_is_not_good() -> None:
    assert not evidence(GOOD, is_wanted=False).is_good
    assert evidence(None, is_wanted=False).is_good


def test_table_of_the_proof_fits_the_terminal_uncut() -> None:
    lines = printed(screens.proof_table([evidence(GOOD), evidence(None)]))

    assert any('268,435,456 aaaaaaaaaaaa equal' in line for line in lines)
    assert '…' not in '\n'.join(lines)
    assert max(map(len, lines)) <= COLUMNS
