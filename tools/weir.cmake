# The build's vocabulary: libraries, programs and tests are declared with these three functions,
# so that every target gets the same warnings, sanitizers and include path (the repository root).

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

add_library(weir_options INTERFACE)
target_include_directories(weir_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_definitions(weir_options INTERFACE _GNU_SOURCE WEIR_VERSION="${PROJECT_VERSION}"
  $<$<BOOL:${WEIR_DEBUG_ASSERTS}>:WEIR_DEBUG_ASSERTS=1>
  $<$<BOOL:${WEIR_FAULT_POINTS}>:WEIR_FAULT_POINTS=1>)
target_compile_options(weir_options INTERFACE -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow
  -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wvla -Wundef -Wcast-qual
  -Wpointer-arith -Wformat=2 -Wimplicit-fallthrough -Wswitch-enum -Wdouble-promotion -Wwrite-strings
  -Wdate-time -fno-strict-aliasing "-fmacro-prefix-map=${CMAKE_SOURCE_DIR}/=" $<$<BOOL:${WEIR_WERROR}>:-Werror>)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  target_compile_options(weir_options INTERFACE -Wcast-align=strict -Wformat-signedness -Wduplicated-cond
    -Wduplicated-branches -Wlogical-op -Wjump-misses-init)
endif()
if(CMAKE_C_COMPILER_ID MATCHES "Clang")
  target_compile_options(weir_options INTERFACE -Wno-string-conversion) # WEIR_ASSERT(!"what cannot be")
endif()
target_link_libraries(weir_options INTERFACE Threads::Threads)
if(WEIR_SANITIZE)
  target_compile_definitions(weir_options INTERFACE WEIR_SANITIZED=1)
  target_compile_options(weir_options INTERFACE -fsanitize=${WEIR_SANITIZE} -fno-omit-frame-pointer -g)
  target_link_options(weir_options INTERFACE -fsanitize=${WEIR_SANITIZE})
  if(WEIR_SANITIZE MATCHES "address|thread")
    target_compile_definitions(weir_options INTERFACE WEIR_SANITIZED) # it needs far more address space than is limited
  endif()
endif()
if(WEIR_COVERAGE)
  target_compile_options(weir_options INTERFACE --coverage)
  target_link_options(weir_options INTERFACE --coverage)
endif()
if(WEIR_LTO)
  set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
endif()

# Libraries of others, each imported once under one name.
pkg_check_modules(liburing REQUIRED IMPORTED_TARGET liburing)
pkg_check_modules(sqlite3 REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(libcjson REQUIRED IMPORTED_TARGET libcjson)
pkg_check_modules(libsodium REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(libcrypto REQUIRED IMPORTED_TARGET libcrypto)
pkg_check_modules(libarchive REQUIRED IMPORTED_TARGET libarchive)
pkg_check_modules(libyaml REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(numa REQUIRED numa)
# History is kept by SQLite's session extension, which not every build of the library has.
include(CheckCSourceCompiles)
target_compile_definitions(PkgConfig::sqlite3 INTERFACE SQLITE_ENABLE_SESSION SQLITE_ENABLE_PREUPDATE_HOOK)
set(CMAKE_REQUIRED_LIBRARIES PkgConfig::sqlite3)
check_c_source_compiles("#include <sqlite3.h>
int main(void) { sqlite3_session *s = 0; return sqlite3session_create(0, \"main\", &s); }" WEIR_SQLITE_HAS_SESSIONS)
unset(CMAKE_REQUIRED_LIBRARIES)
if(NOT WEIR_SQLITE_HAS_SESSIONS)
  message(FATAL_ERROR "libsqlite3 lacks its session extension (SQLITE_ENABLE_SESSION, SQLITE_ENABLE_PREUPDATE_HOOK)")
endif()
if(BUILD_TESTING)
  pkg_check_modules(cmocka REQUIRED IMPORTED_TARGET cmocka)
endif()

# weir_library(NAME SOURCES a.c b.c [DEPENDS target ...]): a static library of one module.
function(weir_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  target_link_libraries(${name} PUBLIC weir_options ${arg_DEPENDS})
endfunction()

# weir_program(NAME SOURCES a.c [DEPENDS target ...]): an executable in bin/.
function(weir_program name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE weir_options ${arg_DEPENDS})
endfunction()

# weir_test(NAME SOURCES a.c [DEPENDS target ...] [LABELS l ...] [TIMEOUT s] [ARGS a ...]):
# a cmocka program run by ctest; exit code 77 means skipped.
function(weir_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;DEPENDS;LABELS;ARGS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE weir_options PkgConfig::cmocka ${arg_DEPENDS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name} ${arg_ARGS})
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT} SKIP_RETURN_CODE 77)
endfunction()

# weir_script_test(NAME COMMAND ... [LABELS l ...] [TIMEOUT s]): a script run by ctest with
# WEIR_BIN (the programs' directory) and WEIR_SOURCE (the repository) in its environment.
function(weir_script_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "COMMAND;LABELS" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  add_test(NAME ${name} COMMAND ${arg_COMMAND})
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT} SKIP_RETURN_CODE 77
    ENVIRONMENT "WEIR_BIN=${CMAKE_RUNTIME_OUTPUT_DIRECTORY};WEIR_SOURCE=${CMAKE_SOURCE_DIR};WEIR_BUILD=${CMAKE_BINARY_DIR}")
endfunction()

# weir_fuzzer(NAME SOURCES fuzz_x.c [DEPENDS target ...]): a libFuzzer program, run for
# WEIR_FUZZ_SECONDS (environment, default 60) by the test of the same name. Only with WEIR_FUZZ.
# Seeds lie in corpus/NAME beside the CMakeLists.txt; what it finds stays in the build folder.
add_custom_target(weir_fuzzers)
function(weir_fuzzer name)
  if(NOT WEIR_FUZZ)
    return()
  endif()
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE weir_options ${arg_DEPENDS})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
  add_dependencies(weir_fuzzers ${name})
  add_test(NAME ${name} COMMAND ${CMAKE_SOURCE_DIR}/tools/fuzz-run $<TARGET_FILE:${name}>
    ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name})
  set_tests_properties(${name} PROPERTIES LABELS fuzz TIMEOUT 86400)
endfunction()

# Can this machine build C for WebAssembly (clang, lld, wasi-libc), and what comes of it (wabt)?
# clang runs binaryen's wasm-opt when it links with -O, which breaks modules: compile and link apart.
find_program(WEIR_WASM_CLANG clang)
find_program(WEIR_WASM_WASM2C wasm2c)
mark_as_advanced(WEIR_WASM_CLANG WEIR_WASM_WASM2C)
set(WEIR_WASM_SDK OFF)
if(WEIR_WASM_CLANG AND WEIR_WASM_WASM2C)
  file(WRITE ${CMAKE_BINARY_DIR}/CMakeFiles/wasm_probe.c "#include <stdio.h>\nint main(void) { return puts(\"\") < 0; }\n")
  execute_process(COMMAND ${WEIR_WASM_CLANG} --target=wasm32-wasi ${CMAKE_BINARY_DIR}/CMakeFiles/wasm_probe.c
    -o ${CMAKE_BINARY_DIR}/CMakeFiles/wasm_probe.wasm RESULT_VARIABLE wasm_probe_result OUTPUT_QUIET ERROR_QUIET)
  if(wasm_probe_result EQUAL 0)
    set(WEIR_WASM_SDK ON)
  endif()
endif()
if(NOT WEIR_WASM_SDK)
  message(STATUS "No wasm samples: clang, lld, wasi-libc, its libclang-rt and wabt are needed (tools/packages.sh build)")
endif()

# weir_wasm_module(NAME SOURCE a.c DIRECTORY dir): dir/a.wasm, built as a user would. A source with a
# handler becomes a reactor, others a program.
function(weir_wasm_module name)
  cmake_parse_arguments(arg "" "SOURCE;DIRECTORY" "" ${ARGN})
  get_filename_component(file ${arg_SOURCE} NAME_WE)
  set(base ${arg_DIRECTORY}/${file})
  set(model command)
  file(STRINGS ${arg_SOURCE} handler REGEX "^int (weir_handle|exec)")
  if(handler)
    set(model reactor)
  endif()
  set(faasm "")
  if(handler MATCHES exec)
    set(faasm -Wl,--global-base=131072)
  endif()
  file(MAKE_DIRECTORY ${arg_DIRECTORY})
  add_custom_command(OUTPUT ${base}.wasm
    COMMAND ${WEIR_WASM_CLANG} --target=wasm32-wasi -O2 -Wall -Wextra -I ${CMAKE_SOURCE_DIR}/dataplane/sdk
      -c ${arg_SOURCE} -o ${base}.o
    COMMAND ${WEIR_WASM_CLANG} --target=wasm32-wasi -mexec-model=${model} ${faasm} -Wl,-s ${base}.o -o ${base}.wasm
    COMMAND ${CMAKE_COMMAND} -E rm ${base}.o
    DEPENDS ${arg_SOURCE} ${CMAKE_SOURCE_DIR}/dataplane/sdk/weir_wasm.h ${CMAKE_SOURCE_DIR}/dataplane/sdk/weir_wasm_imports.h
      ${CMAKE_SOURCE_DIR}/dataplane/sdk/weir_json.h ${CMAKE_SOURCE_DIR}/dataplane/sdk/faasm.h VERBATIM)
  add_custom_target(${name} DEPENDS ${base}.wasm)
endfunction()
