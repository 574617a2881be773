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
"""Which engine is chosen, and the reason that is given for it."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st
import pytest

from dcn_distributor.core import choosing
from dcn_distributor.core import transfers

AUTO = transfers.EngineChoice.AUTO
COPY_IMAGE = transfers.EngineChoice.COPY_IMAGE
RBD_STREAM = transfers.EngineChoice.RBD_STREAM

BOTH = choosing.Options()
PREFER = choosing.Options(prefer_rbd_stream=True)
ONLY_COPY_IMAGE = choosing.Options(engines=('copy-image',))
ONLY_RBD_STREAM = choosing.Options(engines=('rbd-stream',))

FINE = choosing.Circumstances()
DISABLED = 'Glance has the method copy-image disabled'
NO_CLUSTER = 'site dcn0 has no cluster in sites.yaml'
NO_LOCATIONS = 'Glance has show_multiple_locations off'


def circumstances(*stream_obstacles, **attributes):
    return choosing.Circumstances(
        stream_obstacles=stream_obstacles, **attributes
    )


@pytest.mark.parametrize(
    ('options', 'now', 'engine', 'reason'),
    [
        pytest.param(
            BOTH, FINE, 'copy-image', 'copy-image goes first', id='no trouble'
        ),
        pytest.param(
            PREFER, FINE, 'rbd-stream', 'rbd-stream is preferred', id='prefer'
        ),
        pytest.param(
            PREFER,
            circumstances(NO_CLUSTER, NO_LOCATIONS),
            'copy-image',
            f'rbd-stream is preferred, but rbd-stream cannot serve: '
            f'{NO_CLUSTER}; {NO_LOCATIONS}',
            id='what is preferred cannot serve',
        ),
        pytest.param(
            BOTH,
            circumstances(copy_image_obstacle=DISABLED),
            'rbd-stream',
            f'rbd-stream takes over: copy-image cannot serve: {DISABLED}',
            id='copy-image cannot serve',
        ),
        pytest.param(
            BOTH,
            circumstances(copy_image_failures=1, last_failure='no space'),
            'copy-image',
            'copy-image goes first',
            id='one failure is not enough',
        ),
        pytest.param(
            BOTH,
            circumstances(copy_image_failures=2, last_failure='no space'),
            'rbd-stream',
            'rbd-stream takes over: copy-image failed 2 times in a row, the '
            'last time: no space',
            id='failures in a row',
        ),
        pytest.param(
            choosing.Options(fallback_after=1),
            circumstances(copy_image_failures=1),
            'rbd-stream',
            'rbd-stream takes over: copy-image failed once',
            id='fallback at once',
        ),
        pytest.param(
            BOTH,
            circumstances(copy_image_failures=3, stream_failures=2),
            'rbd-stream',
            'rbd-stream takes over: copy-image failed 3 times in a row',
            id='both fail, copy-image more often',
        ),
        pytest.param(
            BOTH,
            circumstances(copy_image_failures=3, stream_failures=3),
            'copy-image',
            'copy-image goes first',
            id='both fail, alike',
        ),
        pytest.param(
            PREFER,
            circumstances(stream_failures=2, last_stream_failure='away'),
            'copy-image',
            'copy-image takes over: rbd-stream failed 2 times in a row, the '
            'last time: away',
            id='what is preferred fails in a row',
        ),
        pytest.param(
            PREFER,
            circumstances(copy_image_failures=2, stream_failures=2),
            'rbd-stream',
            'rbd-stream is preferred',
            id='what is preferred fails, and so does the other',
        ),
        pytest.param(
            PREFER,
            circumstances(is_lock_stuck=True, stream_failures=9),
            'rbd-stream',
            'rbd-stream goes on, nothing can take over: rbd-stream failed 9 '
            "times in a row; a stuck import holds the image's lock",
            id='what is preferred fails, and the lock is stuck',
        ),
        pytest.param(
            PREFER,
            circumstances(copy_image_obstacle=DISABLED, stream_failures=2),
            'rbd-stream',
            'rbd-stream goes on, nothing can take over: rbd-stream failed 2 '
            f'times in a row; copy-image cannot serve: {DISABLED}',
            id='what is preferred fails, and copy-image cannot serve',
        ),
        pytest.param(
            BOTH,
            circumstances(is_lock_stuck=True),
            'rbd-stream',
            "rbd-stream takes over: a stuck import holds the image's lock",
            id='lock stuck',
        ),
        pytest.param(
            BOTH,
            circumstances(NO_CLUSTER, copy_image_failures=5),
            'copy-image',
            'copy-image goes on, nothing can take over: copy-image failed 5 '
            f'times in a row; rbd-stream cannot serve: {NO_CLUSTER}',
            id='failures, and nothing to fall to',
        ),
        pytest.param(
            BOTH,
            circumstances(NO_CLUSTER, is_lock_stuck=True),
            'copy-image',
            'copy-image goes on, nothing can take over: a stuck import holds '
            f"the image's lock; rbd-stream cannot serve: {NO_CLUSTER}",
            id='lock stuck, and nothing to fall to',
        ),
        pytest.param(
            BOTH,
            circumstances(NO_CLUSTER, copy_image_obstacle=DISABLED),
            None,
            f'no engine can serve: copy-image cannot serve: {DISABLED}; '
            f'rbd-stream cannot serve: {NO_CLUSTER}',
            id='neither can serve',
        ),
        pytest.param(
            ONLY_COPY_IMAGE,
            circumstances(copy_image_obstacle=DISABLED),
            None,
            f'no engine can serve: copy-image cannot serve: {DISABLED}; '
            'rbd-stream is not enabled in [copy]',
            id='what could take over is not enabled',
        ),
        pytest.param(
            ONLY_COPY_IMAGE,
            circumstances(copy_image_failures=9),
            'copy-image',
            'copy-image goes on, nothing can take over: copy-image failed 9 '
            'times in a row; rbd-stream is not enabled in [copy]',
            id='failures, and what could take over is not enabled',
        ),
        pytest.param(
            ONLY_RBD_STREAM,
            FINE,
            'rbd-stream',
            'rbd-stream takes over: copy-image is not enabled in [copy]',
            id='only rbd-stream enabled',
        ),
        pytest.param(
            ONLY_RBD_STREAM,
            circumstances(NO_CLUSTER),
            None,
            'no engine can serve: copy-image is not enabled in [copy]; '
            f'rbd-stream cannot serve: {NO_CLUSTER}',
            id='the only one enabled cannot serve',
        ),
    ],
)
@pytest.mark.parametrize('wish', [None, AUTO])
def test_without_a_wish_chooses(wish, options, now, engine, reason):
    assert choosing.choose(wish, options, now) == choosing.Choice(
        engine, reason
    )


@pytest.mark.parametrize(
    ('wish', 'options', 'now', 'engine', 'words'),
    [
        pytest.param(
            RBD_STREAM, BOTH, FINE, 'rbd-stream', 'the policies ask', id='ok'
        ),
        pytest.param(
            COPY_IMAGE,
            PREFER,
            circumstances(copy_image_failures=9, is_lock_stuck=True),
            'copy-image',
            'the policies ask for copy-image',
            id='copy-image is kept though it fails',
        ),
        pytest.param(
            RBD_STREAM,
            ONLY_COPY_IMAGE,
            FINE,
            None,
            'not enabled: add it to engines in [copy], or let transfer.engine',
            id='not enabled',
        ),
        pytest.param(
            RBD_STREAM,
            BOTH,
            circumstances(NO_CLUSTER, NO_LOCATIONS),
            None,
            f'cannot serve: {NO_CLUSTER}; {NO_LOCATIONS}. Put that right, or '
            'let transfer.engine in the policy be auto',
            id='rbd-stream cannot serve',
        ),
        pytest.param(
            COPY_IMAGE,
            BOTH,
            circumstances(copy_image_obstacle=DISABLED),
            None,
            f'cannot serve: {DISABLED}. Put that right, or',
            id='copy-image cannot serve',
        ),
    ],
)
def test_a_wish_gets_its_engine_or_none(wish, options, now, engine, words):
    choice = choosing.choose(wish, options, now)

    assert choice.engine == engine
    assert words in choice.reason


_OBSTACLES = st.text('abc', max_size=3)
_WISHES = st.sampled_from([None, *transfers.EngineChoice])
_OPTIONS = st.builds(
    choosing.Options,
    engines=st.lists(
        st.sampled_from(choosing.ENGINES), min_size=1, unique=True
    ).map(tuple),
    prefer_rbd_stream=st.booleans(),
    fallback_after=st.integers(1, 4),
)
_CIRCUMSTANCES = st.builds(
    choosing.Circumstances,
    copy_image_obstacle=st.none() | _OBSTACLES,
    copy_image_failures=st.integers(0, 5),
    last_failure=_OBSTACLES,
    stream_failures=st.integers(0, 5),
    last_stream_failure=_OBSTACLES,
    is_lock_stuck=st.booleans(),
    stream_obstacles=st.lists(_OBSTACLES, max_size=2).map(tuple),
)


def may_serve(engine, options, now):
    if engine not in options.engines:
        return False
    if engine == 'rbd-stream':
        return not now.stream_obstacles
    return now.copy_image_obstacle is None


@given(_WISHES, _OPTIONS, _CIRCUMSTANCES)
def test_there_is_always_a_reason(wish, options, now):
    assert choosing.choose(wish, options, now).reason


@given(_WISHES, _OPTIONS, _CIRCUMSTANCES)
def test_what_is_chosen_may_serve(wish, options, now):
    engine = choosing.choose(wish, options, now).engine

    assert engine is None or may_serve(engine, options, now)


@given(st.sampled_from([COPY_IMAGE, RBD_STREAM]), _OPTIONS, _CIRCUMSTANCES)
def test_a_wish_is_granted_exactly_if_it_can_be(wish, options, now):
    can_be = may_serve(wish.value, options, now)

    assert choosing.choose(wish, options, now).engine == (
        wish.value if can_be else None
    )


@given(_OPTIONS, _CIRCUMSTANCES)
def test_without_a_wish_whatever_may_serve_is_used(options, now):
    some = any(may_serve(engine, options, now) for engine in options.engines)

    assert (choosing.choose(AUTO, options, now).engine is not None) == some


@given(_OPTIONS, _CIRCUMSTANCES)
def test_none_of_two_that_may_serve_is_given_up(options, now):
    now = dataclasses.replace(now, is_lock_stuck=False)
    may = [e for e in options.engines if may_serve(e, options, now)]

    chosen = set()
    for _ in range(20):
        engine = choosing.choose(AUTO, options, now).engine
        chosen.add(engine)
        now = dataclasses.replace(
            now,
            copy_image_failures=now.copy_image_failures
            + (engine == 'copy-image'),
            stream_failures=now.stream_failures + (engine == 'rbd-stream'),
        )

    assert chosen == ({*may} or {None})


@given(_OPTIONS, _CIRCUMSTANCES)
def test_where_nothing_is_chosen_each_obstacle_is_named(options, now):
    choice = choosing.choose(AUTO, options, now)

    obstacles = {
        'copy-image': (now.copy_image_obstacle,),
        'rbd-stream': now.stream_obstacles,
    }
    if choice.engine is None:
        for engine in options.engines:
            assert all(told in choice.reason for told in obstacles[engine])


def test_an_order_is_not_taken_for_a_policy():
    choice = choosing.choose(
        RBD_STREAM, BOTH, circumstances(NO_CLUSTER), is_order=True
    )

    assert choice.engine is None
    assert choice.reason.startswith('the order is for rbd-stream')
    assert 'polic' not in choice.reason
