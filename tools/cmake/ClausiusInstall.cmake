# SPDX-License-Identifier: Apache-2.0
# install() rules and the package that find_package(Clausius) reads.
include(CMakePackageConfigHelpers)
install(TARGETS clausius EXPORT ClausiusTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS clausius_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
foreach(room core autograd layers optim data train)
  install(DIRECTORY ${room} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/clausius FILES_MATCHING PATTERN "*.h")
endforeach()
install(DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/generated/core ${CMAKE_CURRENT_BINARY_DIR}/generated/autograd DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/clausius FILES_MATCHING PATTERN "*.h")
install(DIRECTORY recipes DESTINATION ${CMAKE_INSTALL_DATADIR}/clausius)
install(EXPORT ClausiusTargets NAMESPACE Clausius:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Clausius)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/ClausiusConfig.cmake.in
  ${CMAKE_CURRENT_BINARY_DIR}/ClausiusConfig.cmake INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Clausius)
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/ClausiusConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/ClausiusConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/ClausiusConfigVersion.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Clausius)
