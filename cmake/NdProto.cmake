# .proto files to C: messages by protoc-c, method tables and embedded descriptors by our generator.
#
#   nd_proto(<target> ROOT <dir> FILES <paths below it>
#            [C_PACKAGE <prefix>]      # C names of files that do not set c_package themselves
#            [TABLES <name>]           # also make <name>_methods.h: one nd_service_desc per service
#            [DESCRIPTORS]             # and <name>_descriptors: the serialised FileDescriptorSet
#            [DEPENDS <targets>]       # message libraries that the files import from ...
#            [IMPORTS <dirs>])         # ... and where their .proto files are
#
# makes the static library nd_<target> with <path>.pb-c.h for each file. Files are handed to protoc-c
# with what it lacks mended. The work is done by ndgrpc-gen, which is installed with the library for its
# users. Nothing generated is kept in the tree.

find_program(ND_PROTOC protoc REQUIRED)
find_program(ND_PROTOC_C protoc-c REQUIRED)
set(ND_PROTO_GENERATOR ${CMAKE_CURRENT_LIST_DIR}/ndgrpc-gen)
set(ND_PROTO_GENERATOR_FILES ${ND_PROTO_GENERATOR} ${CMAKE_CURRENT_LIST_DIR}/proto_for_c.py
    ${CMAKE_CURRENT_LIST_DIR}/proto_tables.py)

function(nd_proto target)
  cmake_parse_arguments(P "DESCRIPTORS" "ROOT;TABLES;C_PACKAGE" "FILES;DEPENDS;IMPORTS" ${ARGN})
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${target})
  set(inputs)
  set(generated)
  foreach(file IN LISTS P_FILES)
    string(REGEX REPLACE "\\.proto$" ".pb-c" stem ${file})
    list(APPEND inputs ${P_ROOT}/${file})
    list(APPEND generated ${out}/${stem}.c ${out}/${stem}.h)
  endforeach()
  set(options --root ${P_ROOT} --out ${out})
  foreach(dir IN LISTS P_IMPORTS)
    list(APPEND options -I ${dir})
  endforeach()
  if(P_C_PACKAGE)
    list(APPEND options --package ${P_C_PACKAGE})
  endif()
  if(P_TABLES)
    list(APPEND options --name ${P_TABLES})
    list(APPEND generated ${out}/${P_TABLES}_methods.c ${out}/${P_TABLES}_methods.h)
  else()
    list(APPEND options --messages-only)
  endif()
  if(P_DESCRIPTORS)
    list(APPEND options --descriptors)
  endif()

  add_custom_command(
    OUTPUT ${generated}
    COMMAND ${Python3_EXECUTABLE} ${ND_PROTO_GENERATOR} ${options} ${P_FILES}
    DEPENDS ${inputs} ${ND_PROTO_GENERATOR_FILES}
    COMMENT "C of ${target}"
    VERBATIM)

  add_library(nd_${target} STATIC ${generated})
  target_include_directories(nd_${target} SYSTEM PUBLIC ${out})
  target_link_libraries(nd_${target} PUBLIC ${P_DEPENDS} PkgConfig::PROTOBUF_C)
  if(P_TABLES)
    target_link_libraries(nd_${target} PUBLIC nd_grpc_headers_only)
  endif()
endfunction()
