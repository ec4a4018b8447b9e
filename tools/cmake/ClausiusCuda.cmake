# SPDX-License-Identifier: Apache-2.0
# The CUDA language and libraries, when CLAUSIUS_CUDA is on.
if(NOT CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 80 90a)
endif()
enable_language(CUDA)
# CMake 3.25 does not know that nvcc 13 speaks C++20.
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
endif()
set(CMAKE_CUDA_STANDARD 20)
# The runtime is a part of our library, and every other library of CUDA is loaded when first needed (core/cuda/dynamic_library.h): the
# same binary runs where there is no CUDA.
set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
find_package(CUDAToolkit REQUIRED)
if(CLAUSIUS_CCACHE)
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${CLAUSIUS_CCACHE})
endif()
