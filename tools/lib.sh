# SPDX-License-Identifier: Apache-2.0
# Shared by the tools: where the project is, what they say, how they build and launch.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

say() { printf '%s: %s\n' "$(basename "$0")" "$*"; }

# Installs what is missing unless --no-install was given.
install_dependencies() {
  if [[ ${1:-} == --no-install ]]; then
    return
  fi
  tools/install-deps
}

# Sets CUDACXX to CUDA's compiler; fails where there is none.
find_nvcc() {
  export CUDACXX=${CUDACXX:-$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)}
  [[ -x $CUDACXX ]]
}

# One object for every preset and every place of the tree: ccache hashes paths as they lie in it, and no working directory.
export CCACHE_BASEDIR=${CCACHE_BASEDIR:-$root} CCACHE_NOHASHDIR=${CCACHE_NOHASHDIR:-1}

# Configures (when needed) and builds a preset.
build_preset() {
  local preset=$1
  shift
  [[ -f build/$preset/build.ninja ]] || cmake --preset "$preset" >"/tmp/clausius-configure-$$.log" 2>&1 ||
    { cat "/tmp/clausius-configure-$$.log" >&2; return 1; }
  rm -f "/tmp/clausius-configure-$$.log"
  cmake --build "build/$preset" "$@"
}

# Open MPI refuses root, and more ranks than cores, unless told otherwise.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
