# .proto files to C: messages by protoc-c, method tables and embedded descriptors by our generator.
#
#   nd_proto(<target> ROOT <dir> FILES <paths below it> TABLES <name> C_PACKAGE <prefix>
#            [DESCRIPTORS])
#
# makes the static library nd_<target> with <path>.pb-c.h for each file and <name>_methods.h, which
# declares one nd_service_desc per service. With DESCRIPTORS the serialised FileDescriptorSet of the
# files and their imports is embedded as <name>_descriptors. Files are handed to protoc-c with what it
# lacks mended (see proto_for_c.py). Nothing generated is kept in the tree.

find_program(ND_PROTOC protoc REQUIRED)
find_program(ND_PROTOC_C protoc-c REQUIRED)
set(ND_PROTO_FOR_C ${CMAKE_CURRENT_LIST_DIR}/proto_for_c.py)
set(ND_PROTO_TABLES ${CMAKE_CURRENT_LIST_DIR}/proto_tables.py)

function(nd_proto target)
  cmake_parse_arguments(P "DESCRIPTORS" "ROOT;TABLES;C_PACKAGE" "FILES" ${ARGN})
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${target})
  set(work ${out}/proto)
  set(set_file ${out}/${P_TABLES}.binpb)
  set(inputs)
  set(mended)
  set(generated)
  foreach(file IN LISTS P_FILES)
    string(REGEX REPLACE "\\.proto$" ".pb-c" stem ${file})
    list(APPEND inputs ${P_ROOT}/${file})
    list(APPEND mended ${work}/${file})
    list(APPEND generated ${out}/${stem}.c ${out}/${stem}.h)
  endforeach()

  add_custom_command(
    OUTPUT ${generated}
    COMMAND ${Python3_EXECUTABLE} ${ND_PROTO_FOR_C} --package ${P_C_PACKAGE} --out ${work}
            --root ${P_ROOT} ${P_FILES}
    COMMAND ${ND_PROTOC_C} -I${work} -I/usr/include --c_out=${out} ${P_FILES}
    DEPENDS ${inputs} ${ND_PROTO_FOR_C}
    WORKING_DIRECTORY ${P_ROOT}
    COMMENT "C messages of ${target}"
    VERBATIM)

  set(tables ${out}/${P_TABLES}_methods.c ${out}/${P_TABLES}_methods.h)
  set(embed)
  if(P_DESCRIPTORS)
    set(embed --embed)
  endif()
  add_custom_command(
    OUTPUT ${tables}
    COMMAND ${ND_PROTOC} -I${P_ROOT} -I/usr/include --include_imports --descriptor_set_out=${set_file}
            ${P_FILES}
    COMMAND ${Python3_EXECUTABLE} ${ND_PROTO_TABLES} --set ${set_file} --name ${P_TABLES} --out ${out}
            --c-package ${P_C_PACKAGE} ${embed} ${P_FILES}
    DEPENDS ${inputs} ${ND_PROTO_TABLES}
    WORKING_DIRECTORY ${P_ROOT}
    COMMENT "Method tables of ${target}"
    VERBATIM)

  add_library(nd_${target} STATIC ${generated} ${tables})
  target_include_directories(nd_${target} SYSTEM PUBLIC ${out})
  target_link_libraries(nd_${target} PUBLIC nd_grpc_headers_only PkgConfig::PROTOBUF_C)
endfunction()
