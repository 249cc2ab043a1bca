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
# with what it lacks mended (proto_for_c.py). Nothing generated is kept in the tree.

find_program(ND_PROTOC protoc REQUIRED)
find_program(ND_PROTOC_C protoc-c REQUIRED)
set(ND_PROTO_FOR_C ${CMAKE_CURRENT_LIST_DIR}/proto_for_c.py)
set(ND_PROTO_TABLES ${CMAKE_CURRENT_LIST_DIR}/proto_tables.py)

function(nd_proto target)
  cmake_parse_arguments(P "DESCRIPTORS" "ROOT;TABLES;C_PACKAGE" "FILES;DEPENDS;IMPORTS" ${ARGN})
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${target})
  set(work ${CMAKE_CURRENT_BINARY_DIR}/${target}-proto)
  file(MAKE_DIRECTORY ${out} ${work})
  set(inputs)
  set(generated)
  foreach(file IN LISTS P_FILES)
    string(REGEX REPLACE "\\.proto$" ".pb-c" stem ${file})
    list(APPEND inputs ${P_ROOT}/${file})
    list(APPEND generated ${out}/${stem}.c ${out}/${stem}.h)
  endforeach()
  set(c_package)
  if(P_C_PACKAGE)
    set(c_package --package ${P_C_PACKAGE})
  endif()
  set(includes)
  foreach(dir IN LISTS P_IMPORTS)
    list(APPEND includes -I${dir})
  endforeach()

  add_custom_command(
    OUTPUT ${generated}
    COMMAND ${Python3_EXECUTABLE} ${ND_PROTO_FOR_C} ${c_package} --out ${work} --root ${P_ROOT}
            ${P_FILES}
    COMMAND ${ND_PROTOC_C} -I${work} ${includes} -I/usr/include --c_out=${out} ${P_FILES}
    DEPENDS ${inputs} ${ND_PROTO_FOR_C}
    WORKING_DIRECTORY ${P_ROOT}
    COMMENT "C messages of ${target}"
    VERBATIM)

  set(tables)
  if(P_TABLES)
    set(tables ${out}/${P_TABLES}_methods.c ${out}/${P_TABLES}_methods.h)
    set(set_file ${work}/${P_TABLES}.binpb)
    set(embed)
    if(P_DESCRIPTORS)
      set(embed --embed)
    endif()
    add_custom_command(
      OUTPUT ${tables}
      COMMAND ${ND_PROTOC} -I${P_ROOT} ${includes} -I/usr/include --include_imports
              --descriptor_set_out=${set_file} ${P_FILES}
      COMMAND ${Python3_EXECUTABLE} ${ND_PROTO_TABLES} --set ${set_file} --name ${P_TABLES}
              --out ${out} --root ${P_ROOT} ${c_package} ${embed} ${P_FILES}
      DEPENDS ${inputs} ${ND_PROTO_TABLES}
      WORKING_DIRECTORY ${P_ROOT}
      COMMENT "Method tables of ${target}"
      VERBATIM)
  endif()

  add_library(nd_${target} STATIC ${generated} ${tables})
  target_include_directories(nd_${target} SYSTEM PUBLIC ${out})
  target_link_libraries(nd_${target} PUBLIC ${P_DEPENDS} PkgConfig::PROTOBUF_C)
  if(P_TABLES)
    target_link_libraries(nd_${target} PUBLIC nd_grpc_headers_only)
  endif()
endfunction()
