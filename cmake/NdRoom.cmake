# Rooms: one static library each, whose declaration is the layering.
#
#   nd_room(<name> SOURCES <files> [DEPENDS <rooms>] [USES <rooms>] [LIBS <third party>])
#
# DEPENDS are the rooms that the public headers need, USES those that only the .c files need,
# LIBS third-party targets, which stay private. A room may name only rooms declared before it, so a
# cycle cannot be written down, and an include of any other room does not compile. The public
# headers stand in include/<name>/ and are compiled alone, twice each, with what the room declared.

function(nd_room name)
  cmake_parse_arguments(R "" "" "SOURCES;DEPENDS;USES;LIBS" ${ARGN})
  if(R_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "room ${name}: unknown words: ${R_UNPARSED_ARGUMENTS}")
  endif()
  foreach(dep IN LISTS R_DEPENDS R_USES)
    if(NOT TARGET nd_${dep})
      message(FATAL_ERROR "room ${name} wants ${dep}, which is not below it")
    endif()
  endforeach()
  list(TRANSFORM R_DEPENDS PREPEND nd_)
  list(TRANSFORM R_USES PREPEND nd_)

  set_property(GLOBAL APPEND PROPERTY ND_ROOMS "${name} ${CMAKE_CURRENT_SOURCE_DIR}")

  add_library(nd_${name} STATIC ${R_SOURCES})
  target_include_directories(nd_${name} PUBLIC include PRIVATE .)
  target_link_libraries(nd_${name} PUBLIC ${R_DEPENDS} PRIVATE ${R_USES} ${R_LIBS} nd_flags)

  file(GLOB_RECURSE headers RELATIVE ${CMAKE_CURRENT_SOURCE_DIR}/include CONFIGURE_DEPENDS
       include/*.h)
  set(alone_sources)
  foreach(header IN LISTS headers)
    string(MAKE_C_IDENTIFIER ${header} id)
    set(alone ${CMAKE_CURRENT_BINARY_DIR}/alone_${id}.c)
    file(CONFIGURE OUTPUT ${alone} CONTENT "#include \"${header}\"\n#include \"${header}\"\n")
    list(APPEND alone_sources ${alone})
  endforeach()
  if(alone_sources)
    add_library(nd_${name}_headers OBJECT ${alone_sources})
    target_include_directories(nd_${name}_headers PRIVATE include)
    target_link_libraries(nd_${name}_headers PRIVATE ${R_DEPENDS} nd_flags)
  endif()
endfunction()

# A unit test program of one room: links that room alone (and, through it, what it declares). Built by
# the target nd_unit_tests, not by all: who builds the release does not wait for tests to be linked.
#
# What a test uses of a library itself it takes from its LIBS, before the room's: of a library that the room
# links from an archive file, that holds only what the room needs.
#
#   nd_unit_test(<room> SOURCES <files> [USES <rooms>] [LIBS <third party>])
function(nd_unit_test room)
  cmake_parse_arguments(T "" "" "SOURCES;USES;LIBS" ${ARGN})
  list(TRANSFORM T_USES PREPEND nd_)
  foreach(source IN LISTS T_SOURCES)
    get_filename_component(stem ${source} NAME_WE)
    set(target ${room}_${stem})
    add_executable(${target} EXCLUDE_FROM_ALL ${source})
    target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests/unit)
    target_link_libraries(${target} PRIVATE ${T_LIBS} nd_${room} ${T_USES} PkgConfig::CMOCKA nd_flags)
    add_test(NAME ${room}/${stem} COMMAND ${target})
    set_tests_properties(${room}/${stem} PROPERTIES TIMEOUT 120 LABELS unit)
    add_dependencies(nd_unit_tests ${target})
  endforeach()
endfunction()

# A fuzz target. Built with libFuzzer in the fuzz preset; in every build it also becomes a plain
# test that runs over its saved inputs (tests/data/fuzz/<name>/).
#
#   nd_fuzz(<name> USES <rooms> [LIBS <third party>])       # source: tests/fuzz/fuzz_<name>.c
function(nd_fuzz name)
  cmake_parse_arguments(F "" "" "USES;LIBS" ${ARGN})
  list(TRANSFORM F_USES PREPEND nd_)
  set(target fuzz_${name})
  set(exclude EXCLUDE_FROM_ALL)
  if(ND_FUZZ)
    set(exclude)
  endif()
  add_executable(${target} ${exclude} ${PROJECT_SOURCE_DIR}/tests/fuzz/fuzz_${name}.c)
  target_link_libraries(${target} PRIVATE ${F_USES} ${F_LIBS} nd_flags)
  if(ND_FUZZ)
    target_link_options(${target} PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests/fuzz/replay.c)
    add_test(NAME fuzz/${name}
             COMMAND ${target} ${PROJECT_SOURCE_DIR}/tests/data/fuzz/${name})
    set_tests_properties(fuzz/${name} PROPERTIES TIMEOUT 120 LABELS unit)
    add_dependencies(nd_unit_tests ${target})
  endif()
endfunction()
