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
"""What a user of the lab logs in with."""

import dataclasses
from typing import Any

from lab import keystone as lab_keystone


@dataclasses.dataclass(frozen=True, slots=True)
class Credentials:
    """A user, and where to log in."""

    auth_url: str
    username: str
    password: str = dataclasses.field(repr=False)
    project_name: str
    user_domain_name: str = lab_keystone.DOMAIN
    project_domain_name: str = lab_keystone.DOMAIN
    region_name: str = lab_keystone.REGION

    def session(self) -> Any:
        """Give a keystoneauth1 session of this user."""
        from keystoneauth1 import session
        from keystoneauth1.identity import v3

        values = dataclasses.asdict(self)
        del values['region_name']
        return session.Session(auth=v3.Password(**values))

    def token(self) -> str:
        """Give a fresh token, for plain HTTP."""
        return lab_keystone.get_token(
            self.auth_url, self.username, self.project_name, self.password
        )
