# SPDX-License-Identifier: Apache-2.0
# Files written at configure time: the version header, and what follows from the list of pointwise ops.
execute_process(COMMAND git -C ${CMAKE_CURRENT_SOURCE_DIR} rev-parse --short=12 HEAD
  OUTPUT_VARIABLE CLAUSIUS_COMMIT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT CLAUSIUS_COMMIT)
  set(CLAUSIUS_COMMIT unknown)
endif()
configure_file(${CMAKE_CURRENT_SOURCE_DIR}/tools/cmake/version.h.in ${CMAKE_CURRENT_BINARY_DIR}/generated/core/version.h @ONLY)

# The pointwise ops: one struct a file in core/ops/pointwise/, listed here for the units that read them all.
#   core/ops/pointwise_structs.inc   includes every struct          core/ops/pointwise.h         declares forward and backward
#   core/ops/pointwise_list.inc      CLS_POINTWISE(name, Struct)    core/ops/pointwise_tables.h  declares the kernel tables
#   autograd/rules/pointwise.h       declares the differentiable functions
file(GLOB pointwise_headers CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/core/ops/pointwise/*.h)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${pointwise_headers})
foreach(header ${pointwise_headers})
  get_filename_component(name ${header} NAME_WE)
  file(STRINGS ${header} registration REGEX "^CLS_POINTWISE\\(${name}, [A-Za-z0-9]+\\)")
  if(NOT registration)
    message(FATAL_ERROR "core/ops/pointwise/${name}.h: expected a line CLS_POINTWISE(${name}, StructName)")
  endif()
  # The line after the licence says what the op is; it becomes the doc block.
  file(STRINGS ${header} comments REGEX "^// ")
  list(LENGTH comments count)
  if(count LESS 2)
    message(FATAL_ERROR "core/ops/pointwise/${name}.h: expected a line after the licence that says what the op is")
  endif()
  list(GET comments 1 summary)
  string(REGEX REPLACE "^// " "" summary "${summary}")
  string(APPEND pointwise_structs "#include \"core/ops/pointwise/${name}.h\"\n")
  string(APPEND pointwise_list "${registration}\n")
  string(APPEND pointwise_declarations
    "/// ${summary}\n[[nodiscard]] Tensor ${name}(const Tensor& x);\n/// dx = dy times the derivative at x.\n[[nodiscard]] Tensor ${name}_backward(const Tensor& dy, const Tensor& x);\n\n")
  string(APPEND pointwise_tables
    "PointwiseForwardTable& ${name}_forward_kernels();\nPointwiseBackwardTable& ${name}_backward_kernels();\n")
  string(APPEND pointwise_rules "/// ${summary}\n[[nodiscard]] Variable ${name}(const Variable& x);\n\n")
endforeach()
foreach(file core/ops/pointwise.h core/ops/pointwise_tables.h core/ops/pointwise_structs.inc core/ops/pointwise_list.inc
        autograd/rules/pointwise.h)
  get_filename_component(template ${file} NAME)
  if(file STREQUAL "autograd/rules/pointwise.h")
    set(template rules_pointwise.h)
  endif()
  configure_file(${CMAKE_CURRENT_SOURCE_DIR}/tools/cmake/pointwise/${template}.in ${CMAKE_CURRENT_BINARY_DIR}/generated/${file} @ONLY)
endforeach()

# The web page: its parts become string constants of the program. Scripts are joined in the order of this list, in one function scope.
set(page_folder ${CMAKE_CURRENT_SOURCE_DIR}/train/web/page)
set(page_scripts colors format data chart lines heat_map panels controls app)
set(page_js "(() => {\n\"use strict\";\n")
foreach(script ${page_scripts})
  file(READ ${page_folder}/${script}.js text)
  string(APPEND page_js "${text}")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${page_folder}/${script}.js)
endforeach()
string(APPEND page_js "})();\n")
foreach(part html css)
  file(READ ${page_folder}/page.${part} page_${part})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${page_folder}/page.${part})
endforeach()
set(page_source ${CMAKE_CURRENT_BINARY_DIR}/generated/train/web/page_parts.cpp)
configure_file(${page_folder}/page_parts.cpp.in ${page_source} @ONLY)
list(APPEND clausius_generated_sources ${page_source})
