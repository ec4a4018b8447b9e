# SPDX-License-Identifier: Apache-2.0
# Installs a build into a fresh prefix, and builds and runs a project that finds it there.
#   cmake -D SOURCE=.. -D BUILD=.. -D WORK=.. [-D BUILD_TYPE=..] -P check.cmake
file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})

function(run)
  execute_process(COMMAND ${ARGN} WORKING_DIRECTORY ${WORK} OUTPUT_VARIABLE output ERROR_VARIABLE output RESULT_VARIABLE code)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "${ARGN} ended with ${code}:\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/prefix)
run(${CMAKE_COMMAND} -S ${SOURCE}/tests/install -B ${WORK}/build -G Ninja -D CMAKE_PREFIX_PATH=${WORK}/prefix
  -D CMAKE_BUILD_TYPE=${BUILD_TYPE})
run(${CMAKE_COMMAND} --build ${WORK}/build)
file(COPY ${SOURCE}/recipes/data/tiny.txt DESTINATION ${WORK})
run(${WORK}/build/train_by_hand tiny.txt)
if(NOT output MATCHES "step  60  loss [0-9.]+  entropy of layer 1, head 0: [0-9.]+ nats\nThe ")
  message(FATAL_ERROR "train_by_hand printed:\n${output}")
endif()

# The installed program finds its recipes.
run(${WORK}/prefix/bin/clausius recipes list)
if(NOT output MATCHES "tiny_cpu")
  message(FATAL_ERROR "the installed program lists:\n${output}")
endif()

# docs/using_the_library.md shows this very program.
file(READ ${SOURCE}/docs/using_the_library.md page)
foreach(file train_by_hand.cpp CMakeLists.txt)
  file(READ ${SOURCE}/tests/install/${file} text)
  string(FIND "${page}" "\n${text}```" place)
  if(place EQUAL -1)
    message(FATAL_ERROR "docs/using_the_library.md does not show tests/install/${file} as it is")
  endif()
endforeach()
