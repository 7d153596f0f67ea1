# eigenlm_add_compiled(<target>): a static library that holds eigenlm's code, for programs of many units. Those that link it
# compile the declarations alone. Compile it and its users with the same -m flags: each set has a binary interface of its own.
function(eigenlm_add_compiled target)
  # A unit found through the include path: one way for the source tree and the installed package.
  set(unit ${CMAKE_CURRENT_BINARY_DIR}/CMakeFiles/eigenlm-compiled/${target}.cpp)
  file(CONFIGURE OUTPUT ${unit} CONTENT "#include <eigenlm/instantiate.cpp>\n" @ONLY)
  add_library(${target} STATIC ${unit})
  target_link_libraries(${target} PUBLIC eigenlm::eigenlm)
  target_compile_definitions(${target} PUBLIC EIGENLM_EXTERN_TEMPLATES)
endfunction()
