# SPDX-License-Identifier: Apache-2.0
# Files written at configure time: the version header.
execute_process(COMMAND git -C ${CMAKE_CURRENT_SOURCE_DIR} rev-parse --short=12 HEAD
  OUTPUT_VARIABLE CLAUSIUS_COMMIT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT CLAUSIUS_COMMIT)
  set(CLAUSIUS_COMMIT unknown)
endif()
configure_file(${CMAKE_CURRENT_SOURCE_DIR}/tools/cmake/version.h.in ${CMAKE_CURRENT_BINARY_DIR}/generated/core/version.h @ONLY)
