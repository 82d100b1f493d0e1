# mpool_pc_paths() - set pc_to_prefix, pc_libdir and pc_includedir, for a file of pkg-config's.
#
# Such a file finds the installation from its own place, so that it stays right when that is moved; a directory set to an
# absolute path stays as it is.
macro(mpool_pc_paths)
	file(RELATIVE_PATH pc_to_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
	string(REGEX REPLACE "/$" "" pc_to_prefix ${pc_to_prefix})
	set(pc_libdir "\${prefix}")
	cmake_path(APPEND pc_libdir ${CMAKE_INSTALL_LIBDIR})
	set(pc_includedir "\${prefix}")
	cmake_path(APPEND pc_includedir ${CMAKE_INSTALL_INCLUDEDIR})
endmacro()
