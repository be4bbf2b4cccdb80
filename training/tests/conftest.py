"""The tests of trainings alone are run as among all the others: by the same rules of properties."""

from tests.conftest import pytest_runtest_setup

__all__ = ["pytest_runtest_setup"]
