"""Plugins that labcheck's own tests need; pytest takes them from the rootdir's conftest only."""

pytest_plugins = ["pytester"]
