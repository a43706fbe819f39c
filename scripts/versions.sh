#!/usr/bin/env bash
# versions.sh lowest|newest [TESTS]: builds the wheel, installs it with the lowest versions that pyproject.toml allows on
# its lowest Python, or with the newest ones on its newest, and runs commands and TESTS with it. The environment is kept in
# the user's cache, and made again for another pyproject.toml or interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."
which=$1
shift

cache=${XDG_CACHE_HOME:-$HOME/.cache}/fdi-ci
mkdir -p "$cache"
exec 9>"$cache/$which.lock"
flock 9 # the environment holds one wheel at a time

uv=$(command -v uv || true)
if [ -z "$uv" ]; then
    uv=$cache/uv/bin/uv
    [ -x "$uv" ] || { python3 -m venv --clear "$cache/uv" && "$cache/uv/bin/pip" install --quiet uv; }
fi
for folder in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.*/bin; do # uv looks in PATH, and downloads what is not there
    PATH=$PATH:$folder
done

pythons=$(sed -n 's/.*"Programming Language :: Python :: \(3\.[0-9]*\)".*/\1/p' pyproject.toml | sort -V)
resolution=lowest-direct
if [ "$which" = newest ]; then
    pythons=$(tac <<<"$pythons")
    resolution=highest
fi
find=("$uv" python find --no-project --system)
for wanted in $pythons; do
    python=$({ "${find[@]}" "$wanted" || { "$uv" python install --quiet "$wanted" && "${find[@]}" "$wanted"; }; } 2>/dev/null) && break
    echo "versions.sh: Python $wanted is not here and cannot be downloaded; the next one stands for it" >&2
done
[ -n "$python" ] || exit 1

key=$({ cat pyproject.toml; "$python" -VV; echo "$python"; } | sha256sum | cut -c 1-12)
environment=$cache/$which-$key
wheels=$(mktemp -d)
trap 'rm -rf "$wheels"' EXIT
"$uv" build --quiet --out-dir "$wheels" # the wheel comes from the sdist, so without what lies in build/
wheel=$(ls "$wheels"/*.whl)
if [ ! -e "$environment/.whole" ]; then
    rm -rf "$cache/$which"-* # of other versions of pyproject.toml: gigabytes each
    echo "versions.sh: making $environment: with PyTorch for CUDA, 3 GB to download" >&2
    "$uv" venv --quiet --python "$python" "$environment"
    "$uv" pip install --quiet --python "$environment" --resolution "$resolution" -r pyproject.toml --extra test
    touch "$environment/.whole"
fi
"$uv" pip install --quiet --python "$environment" --no-deps --reinstall "$wheel"

bin=$environment/bin
checkout=$PWD
cd "$wheels"
"$bin/python" -c 'import fdi, sys, numpy, pandas, torch
assert fdi.__file__.startswith(sys.prefix), fdi.__file__
print(f"Python {sys.version.split()[0]}, pandas {pandas.__version__}, numpy {numpy.__version__}, torch {torch.__version__}")'
export PYTHONWARNINGS=error::FutureWarning
small="dataset.samples=200 trainer.epochs=1 model.hidden=16"
set -x
"$bin/fdi-run" $small
"$bin/fdi-run" -m $small init=kaiming,fluct optimizer.lr=0.002,0.005 'seed=range(2)'
"$bin/fdi-table"
"$bin/fdi-status"
"$bin/fdi-figures" --own
"$bin/fdi-report"
{ set +x; } 2>/dev/null
unset PYTHONWARNINGS
cd "$checkout"
"$bin/pytest" -m "not slow" -n 2 --dist worksteal "$@"
