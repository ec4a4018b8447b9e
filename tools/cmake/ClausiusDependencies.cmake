# SPDX-License-Identifier: Apache-2.0
# Every third-party library, as the interface target `clausius_dependencies` (docs/dependencies.md says why each is there).
find_package(PkgConfig REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(Eigen3 REQUIRED)
find_package(dnnl REQUIRED)
find_package(hwy REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(fmt REQUIRED)
find_package(Threads REQUIRED)
find_package(ZLIB REQUIRED)
set(HDF5_PREFER_PARALLEL OFF)
find_package(HDF5 REQUIRED COMPONENTS C)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(HTTPLIB REQUIRED IMPORTED_TARGET cpp-httplib)
pkg_check_modules(XSMM REQUIRED libxsmm libxsmmnoblas)
find_path(RANDOM123_INCLUDE_DIR Random123/philox.h REQUIRED)

add_library(clausius_dependencies INTERFACE)
target_include_directories(clausius_dependencies SYSTEM INTERFACE ${RANDOM123_INCLUDE_DIR} ${HDF5_C_INCLUDE_DIRS})
target_link_libraries(clausius_dependencies INTERFACE
  OpenMP::OpenMP_CXX Eigen3::Eigen DNNL::dnnl hwy::hwy yaml-cpp nlohmann_json::nlohmann_json CLI11::CLI11 fmt::fmt
  PkgConfig::XXHASH PkgConfig::HTTPLIB ZLIB::ZLIB ${HDF5_C_LIBRARIES} ${pkgcfg_lib_XSMM_xsmm} ${pkgcfg_lib_XSMM_xsmmnoblas} Threads::Threads ${CMAKE_DL_LIBS})
# Static archives: libxsmm's symbols, and the empty BLAS that stands in for one, stay inside the library.
target_link_options(clausius_dependencies INTERFACE LINKER:--exclude-libs,libxsmm.a LINKER:--exclude-libs,libxsmmnoblas.a)
# Three instruction sets are enough for one binary that runs anywhere and is fast where it can be.
target_compile_definitions(clausius_dependencies INTERFACE
  EIGEN_DONT_PARALLELIZE "HWY_DISABLED_TARGETS=(HWY_SSSE3|HWY_AVX3_DL)")
if(CLAUSIUS_MPI)
  find_package(MPI REQUIRED COMPONENTS CXX)
  target_link_libraries(clausius_dependencies INTERFACE MPI::MPI_CXX)
  target_compile_definitions(clausius_dependencies INTERFACE CLAUSIUS_HAS_MPI OMPI_SKIP_MPICXX)
endif()
