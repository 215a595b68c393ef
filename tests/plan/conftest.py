"""The plan of the demo."""

import pytest

from stages.plan import Plan
from tests.plan.plans import DEMO, plan_of


@pytest.fixture(scope="module")
def demo() -> Plan:
    return plan_of(DEMO)
