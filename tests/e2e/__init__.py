import pytest

# They check for the tests, and say what differs as the tests themselves do.
pytest.register_assert_rewrite(
    "tests.e2e.mail_site", "tests.e2e.stories", "tests.e2e.whole_run", "tests.e2e.expected"
)
