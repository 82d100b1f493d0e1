# The static library needs the threads library.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
include(${CMAKE_CURRENT_LIST_DIR}/mpoolTargets.cmake)
if(NOT TARGET mpool::mpool)
	# No shared library was wanted where this was built.
	add_library(mpool::mpool INTERFACE IMPORTED)
	set_target_properties(mpool::mpool PROPERTIES INTERFACE_LINK_LIBRARIES mpool::mpool_static)
endif()
