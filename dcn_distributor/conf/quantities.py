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
"""Types of options that have a unit: sizes and rates."""

from oslo_config import types

from dcn_distributor.core import rates
from dcn_distributor.core import sizes
from dcn_distributor.core import text


class Size(types.ConfigType):  # type: ignore[misc]
    """A number of bytes, with a unit: ``4MiB``.

    Options of this type have an int for their value.
    """

    def __init__(self, least_bytes: int, most_bytes: int) -> None:
        super().__init__(type_name='size')
        self._least_bytes = least_bytes
        self._most_bytes = most_bytes

    def __call__(self, value: str | int) -> int:
        """Read it. Raises ValueError."""
        size_bytes = sizes.parse_size(str(value))
        if not self._least_bytes <= size_bytes <= self._most_bytes:
            least = sizes.write(self._least_bytes)
            most = sizes.write(self._most_bytes)
            raise ValueError(
                f'expected {least} to {most}, found {text.show(str(value))}'
            )
        return size_bytes

    def _formatter(self, value: int) -> str:
        return sizes.write(value)


class PowerOfTwo(Size):
    """A size that is a power of two."""

    def __call__(self, value: str | int) -> int:
        """Read it. Raises ValueError."""
        size_bytes = super().__call__(value)
        if size_bytes.bit_count() != 1:
            raise ValueError(
                'expected a power of two such as 4MiB, found '
                f'{text.show(str(value))}'
            )
        return size_bytes


class Rate(types.ConfigType):  # type: ignore[misc]
    """Bytes per second, written as in placement.yaml, or 0 for no limit.

    Options of this type have a float for their value.
    """

    def __init__(self) -> None:
        super().__init__(type_name='rate')

    def __call__(self, value: str | float) -> float:
        """Read it. Raises ValueError."""
        if isinstance(value, (int, float)):
            return float(value)
        return 0.0 if value.strip() == '0' else rates.parse(value)

    def _formatter(self, value: float) -> str:
        return rates.show(value) if value else '0'
