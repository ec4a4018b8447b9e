# SPDX-License-Identifier: Apache-2.0
# Compiler settings shared by every target, as the interface target `clausius_compiler`.
add_library(clausius_compiler INTERFACE)
target_compile_features(clausius_compiler INTERFACE cxx_std_20)
target_compile_options(clausius_compiler INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wconversion -fno-math-errno>
  $<$<AND:$<CONFIG:Release>,$<COMPILE_LANGUAGE:CXX>>:-ffile-prefix-map=${CMAKE_CURRENT_SOURCE_DIR}=.>
  $<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr -lineinfo -Xcompiler=-Wall,-Wextra,-Wshadow,-Wconversion>)
# GCC 12 sees overlapping copies in std::string concatenation that are not there (GCC bug 105329).
target_compile_options(clausius_compiler INTERFACE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-restrict>)
option(CLAUSIUS_WERROR "Warnings are errors" ${PROJECT_IS_TOP_LEVEL})
if(CLAUSIUS_WERROR)
  target_compile_options(clausius_compiler INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Werror> $<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings>)
endif()
if(CLAUSIUS_ASSERTS)
  target_compile_definitions(clausius_compiler INTERFACE CLS_ENABLE_ASSERTS)
endif()
if(CLAUSIUS_SANITIZE)
  target_compile_options(clausius_compiler INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  target_link_options(clausius_compiler INTERFACE -fsanitize=address,undefined)
  # Under the sanitizers GCC 12 takes the unused member of a std::variant for an uninitialised one.
  target_compile_options(clausius_compiler INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
endif()

# Faster rebuilds where the tools are there; the result is the same without them.
find_program(CLAUSIUS_CCACHE ccache)
if(CLAUSIUS_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CLAUSIUS_CCACHE})
endif()
find_program(CLAUSIUS_MOLD mold)
if(CLAUSIUS_MOLD)
  add_link_options(-fuse-ld=mold)
endif()
