"""What CI runs, one session per question.

``nox -l`` lists the sessions; ``nox`` alone runs those that must pass before a change lands.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "uv"
nox.options.error_on_missing_interpreters = False
nox.options.download_python = "never"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "typing", "build", "isolated", "tests", "properties", "docs"]

ROOT = Path(__file__).parent
PACKAGES = sorted(p.parent.name for p in ROOT.glob("packages/*/pyproject.toml"))
LIBRARIES = [p for p in PACKAGES if p != "corvus-server"]
PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
DIST = ROOT / "dist"


def _runs(python: str) -> bool:
    """Whether ``pythonX.Y`` is on the path and starts: a shim may stand there for nothing."""
    found = shutil.which(f"python{python}")
    return (
        found is not None
        and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0
    )


INSTALLED = [python for python in PYTHONS if _runs(python)]
if MISSING := [python for python in PYTHONS if python not in INSTALLED]:
    print(f"nox: not installed, so not tested: Python {', '.join(MISSING)}", file=sys.stderr)

#: Everything that works on a whole tree works on the oldest Python that we support.
BASE = PYTHONS[0]


def _group(*names: str) -> list[str]:
    return list(nox.project.dependency_groups(PROJECT, *names))


def _members() -> list[str]:
    """Every package of the workspace, editable, with all extras."""
    return [
        f"-e{ROOT / 'packages' / 'corvus-auth'}[dns,passwords,psl]",
        f"-e{ROOT / 'packages' / 'corvus-dkim'}[dns]",
        *(
            f"-e{ROOT / 'packages' / p}"
            for p in PACKAGES
            if p not in ("corvus-auth", "corvus-dkim")
        ),
        f"-e{ROOT / 'testing'}",
    ]


def _workers() -> list[str]:
    return ["-n", os.environ.get("CORVUS_TEST_WORKERS", "2")]


@nox.session(python=BASE)
def lint(session: nox.Session) -> None:
    """Formatting, lint rules, who may import whom, and pins that agree."""
    session.install(*_group("lint"), *_members())
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("lint-imports")
    _, constraints = _pins_of_pyproject()
    mirrored = (ROOT / "constraints.txt").read_text().splitlines()
    if [line for line in mirrored if line and not line.startswith("#")] != constraints:
        session.error("constraints.txt and pyproject.toml name different pins: run `nox -s pins`")


@nox.session(python=BASE)
def typing(session: nox.Session) -> None:
    """mypy --strict over each package by itself, its sources and its tests; ``-- corvus-smtp``."""
    session.install(*_group("typing", "test", "oracles", "web"), *_members())
    for package in session.posargs or [*PACKAGES, "testing"]:
        folder = ROOT / "testing" if package == "testing" else ROOT / "packages" / package
        session.run("mypy", "--strict", str(folder / "src"), str(folder / "tests"))
    session.run("mypy", "--strict", "examples", "tests")


@nox.session(python=BASE)
def build(session: nox.Session) -> None:
    """Wheel and sdist of every package into dist/; then look inside them."""
    shutil.rmtree(DIST, ignore_errors=True)
    session.install(*_group("build"))
    for package in [*PACKAGES, "../testing"]:
        session.run(
            "python", "-m", "build", "--no-isolation", "--outdir", str(DIST),
            str((ROOT / "packages" / package).resolve()), silent=True,
        )  # fmt: skip
    published = [p for p in DIST.iterdir() if not p.name.startswith("corvus_testing")]
    session.run("twine", "check", "--strict", *map(str, published))
    wheels = [p for p in published if p.suffix == ".whl"]
    session.run("check-wheel-contents", *map(str, wheels))
    for wheel in wheels:
        names = zipfile.ZipFile(wheel).namelist()
        if not any(name.endswith("/py.typed") for name in names):
            session.error(f"{wheel.name} holds no py.typed: its types would be invisible")


@nox.session(python=BASE, requires=["build"])
@nox.parametrize("package", PACKAGES)
def isolated(session: nox.Session, package: str) -> None:
    """One built wheel, the wheels it declares and nothing else; then its own tests."""
    [wheel] = DIST.glob(f"{package.replace('-', '_')}-*.whl")
    [kit] = DIST.glob("corvus_testing-*.whl")
    session.run("uv", "pip", "uninstall", "-q", *PACKAGES, success_codes=[0, 1], silent=True)
    session.install(
        "--find-links", str(DIST), "--reinstall-package", package, str(wheel), str(kit),
        "pytest", "hypothesis", "pytest-xdist", *(["httpx"] if package == "corvus-server" else []),
    )  # fmt: skip
    session.run(
        "python", "-P", "-m", "pytest", "-p", "no:cacheprovider", *_workers(),
        f"packages/{package}/tests", *session.posargs,
    )  # fmt: skip


@nox.session(python=INSTALLED)
def tests(session: nox.Session) -> None:
    """All tests with everything installed, oracles and real peers included."""
    session.install(*_group("test", "oracles", "web"), *_members())
    if session.python == BASE and not session.posargs:
        # The packages' own tests ran isolated on this interpreter; what they skipped there for
        # want of an oracle, and what crosses packages, runs here.
        session.run("pytest", *_workers(), "-m", "not property")
    else:
        session.run("pytest", *_workers(), *session.posargs)


@nox.session(python=BASE)
def properties(session: nox.Session) -> None:
    """Everything hypothesis generates, 2,000 examples each."""
    session.install(*_group("test", "oracles", "web"), *_members())
    session.run(
        "pytest", *_workers(), "-m", "property", "--hypothesis-profile=thorough", *session.posargs
    )


@nox.session(python=BASE)
def docs(session: nox.Session) -> None:
    """HTML with every warning an error, then every doctest in the prose."""
    session.install(*_group("docs"), *_members())
    for builder in ("html", "doctest"):
        session.run("sphinx-build", "-TW", "-q", "-b", builder, "docs", f"docs/_build/{builder}")


# Not part of the default run.


@nox.session(python=BASE)
def coverage(session: nox.Session) -> None:
    """Branch coverage of each library by its own tests."""
    session.install(*_group("test", "oracles"), *_members())
    for package in session.posargs or LIBRARIES:
        env = {"COVERAGE_FILE": str(ROOT / f".coverage.{package}")}
        source = package.replace("-", "_")
        session.run(
            "coverage", "run", "--branch", f"--source={source}", "-m", "pytest", "-q",
            f"packages/{package}/tests", env=env,
        )  # fmt: skip
        session.run("coverage", "report", "--show-missing", "--skip-covered", env=env)


@nox.session(python=BASE)
def lowest(session: nox.Session) -> None:
    """Each library with the lowest versions of what it declares."""
    arrows = {"corvus-imap": ["packages/corvus-message"]}
    for package in LIBRARIES:
        session.run(
            "uv", "--no-config", "pip", "install", "--resolution", "lowest-direct", "-q",
            f"packages/{package}", "./testing", *arrows.get(package, []),
        )  # fmt: skip
        session.run("pytest", "-q", "-p", "no:cacheprovider", f"packages/{package}/tests")


@nox.session(python=BASE)
def interop(session: nox.Session) -> None:
    """The long conversations with other implementations."""
    session.install(*_group("test", "oracles", "web"), *_members())
    env = {"CORVUS_INTEROP_MESSAGES": "10000"}
    session.run("pytest", *_workers(), "-m", "interop", *session.posargs, env=env)


@nox.session(python=BASE)
def faults(session: nox.Session) -> None:
    """Kill and fail the store at every seam; prints what was injected and what was lost."""
    session.install(*_group("test"), *_members())
    env = {"CORVUS_FAULTS": "long"}
    session.run(
        "pytest",
        "-s",
        "packages/corvus-server/tests/storage",
        "-k",
        "fault",
        *session.posargs,
        env=env,
    )


@nox.session(python=BASE)
def bench(session: nox.Session) -> None:
    """Benchmarks, ours beside their peers: ``nox -s bench -- dkim auth``."""
    session.install(*_group("test", "oracles", "bench"), *_members())
    for script in sorted((ROOT / "benchmarks").glob("bench_*.py")):
        if not session.posargs or any(word in script.name for word in session.posargs):
            session.run("python", str(script))


@nox.session(python=BASE, venv_backend="none")
def pins(session: nox.Session) -> None:
    """Write the exact versions of everything into pyproject.toml and constraints.txt."""
    path = ROOT / "pyproject.toml"
    bare = _BLOCK.sub(lambda m: f"{m[1]}constraint-dependencies = []", path.read_text())
    path.write_text(bare)
    (ROOT / "uv.lock").unlink(missing_ok=True)
    session.run("uv", "lock", "--quiet", external=True)
    exported = session.run(
        "uv", "export", "--quiet", "--all-packages", "--all-groups", "--all-extras", "--no-hashes",
        "--no-header", "--no-annotate", "--no-emit-workspace", silent=True, external=True,
    )  # fmt: skip
    lines = sorted({line.strip() for line in str(exported).splitlines() if "==" in line})
    builds = [
        line
        for line in lines
        if re.match(r"(hatchling|packaging|pathspec|pluggy|trove-classifiers)==", line)
    ]
    named = {"constraint-dependencies": lines, "build-constraint-dependencies": builds}

    def block(match: re.Match[str]) -> str:
        name = f"{match[1]}constraint-dependencies"
        return f"{name} = [\n" + "".join(f"    {json.dumps(line)},\n" for line in named[name]) + "]"

    path.write_text(_BLOCK.sub(block, bare))
    (ROOT / "constraints.txt").write_text(
        "# Mirrors [tool.uv] of pyproject.toml for plain pip; `nox -s pins` writes both.\n"
        + "".join(f"{line}\n" for line in lines)
    )


_BLOCK = re.compile(r"^(build-|)constraint-dependencies = \[(?:[^\]]|\](?!$))*\]$", re.M)


def _pins_of_pyproject() -> tuple[list[str], list[str]]:
    uv = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]
    return uv["build-constraint-dependencies"], uv["constraint-dependencies"]
