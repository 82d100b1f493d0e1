# A store's own library; stores/README.md.
include(CheckCSourceCompiles)
include(${CMAKE_CURRENT_LIST_DIR}/pkgconfig.cmake)
set(mpool_store_pc ${CMAKE_CURRENT_LIST_DIR}/mpool-store.pc.in)

# mpool_store_client(<variable> <library> <source>)
#
# Is the client's library there?  Linked too: it may be there for another processor than this build's.
macro(mpool_store_client variable library source)
	set(CMAKE_REQUIRED_LIBRARIES ${library})
	check_c_source_compiles("${source}" ${variable})
	unset(CMAKE_REQUIRED_LIBRARIES)
endmacro()

# install_store(<name> <client's library> <client's module> <about> <wanted target>...), for mpool_store
function(install_store name client module about)
	set(wanted ${ARGN})
	install(TARGETS ${wanted} EXPORT mpoolTargets
		LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
		ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
	install(FILES mpool_${name}.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
	mpool_pc_paths()
	# Who links a static library links what it needs.
	if(module)
		set(pc_needs "Requires: mpool\nRequires.private: ${module}")
		set(pc_needs_alone "Requires: mpool, ${module}")
	else()
		set(pc_needs "Requires: mpool\nLibs.private: -l${client} -pthread")
		set(pc_needs_alone "Requires: mpool")
		set(pc_libs_alone " -l${client} -pthread")
	endif()
	if(NOT mpool_${name} IN_LIST wanted)
		set(pc_needs ${pc_needs_alone})
		set(pc_libs ${pc_libs_alone})
	endif()
	configure_file(${mpool_store_pc} mpool-${name}.pc @ONLY)
	install(FILES ${CMAKE_CURRENT_BINARY_DIR}/mpool-${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()

# mpool_store(<name> CLIENT <library> [MODULE <module>] ABOUT <description> SOURCES <file>... CALLS <call>...)
#
# libmpool_<name>, shared and static, as src/CMakeLists.txt has the library itself: with mpool_<name>.h, mpool_<name>.map,
# mpool-<name>.pc, and man/mpool_<name>.3 under the names of its calls, too.
#
# CLIENT  what it links besides; of which pkg-config knows as MODULE, if it does
function(mpool_store name)
	cmake_parse_arguments(PARSE_ARGV 1 S "" "CLIENT;MODULE;ABOUT" "SOURCES;CALLS")
	set(lib mpool_${name})
	set(map ${CMAKE_CURRENT_SOURCE_DIR}/${lib}.map)
	add_library(${lib}_objects OBJECT ${S_SOURCES})
	target_include_directories(${lib}_objects PUBLIC ${CMAKE_CURRENT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
	set_target_properties(${lib}_objects PROPERTIES
		POSITION_INDEPENDENT_CODE ON
		C_VISIBILITY_PRESET hidden)

	add_library(${lib} SHARED $<TARGET_OBJECTS:${lib}_objects>)
	set_target_properties(${lib} PROPERTIES
		VERSION ${PROJECT_VERSION}
		SOVERSION ${PROJECT_VERSION_MAJOR}
		LINK_DEPENDS ${map})
	target_link_options(${lib} PRIVATE -Wl,--version-script=${map})
	if(NOT MPOOL_SANITIZE)
		target_link_options(${lib} PRIVATE -Wl,--no-undefined)
	endif()
	add_library(${lib}_static STATIC $<TARGET_OBJECTS:${lib}_objects>)
	set_target_properties(${lib}_static PROPERTIES OUTPUT_NAME ${lib})
	target_link_libraries(${lib} PUBLIC mpool PRIVATE ${S_CLIENT} Threads::Threads)
	target_link_libraries(${lib}_static PUBLIC mpool_static PRIVATE ${S_CLIENT} Threads::Threads)

	list(TRANSFORM mpool_wanted REPLACE "^mpool" "${lib}" OUTPUT_VARIABLE wanted)
	list(GET wanted 0 first)
	add_library(mpool::${lib} ALIAS ${first})
	add_library(mpool::${lib}_static ALIAS ${lib}_static)
	foreach(kind ${lib} ${lib}_static)
		set_target_properties(${kind} PROPERTIES LINKER_LANGUAGE C)
		target_include_directories(${kind} INTERFACE
			$<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}>
			$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
		if(NOT kind IN_LIST wanted)
			set_target_properties(${kind} PROPERTIES EXCLUDE_FROM_ALL ON)
		endif()
	endforeach()

	if(NOT MPOOL_INSTALL)
		return()
	endif()
	install_store(${name} ${S_CLIENT} "${S_MODULE}" "${S_ABOUT}" ${wanted})
	set(man3 ${CMAKE_INSTALL_MANDIR}/man3)
	install(FILES ${PROJECT_SOURCE_DIR}/man/${lib}.3 DESTINATION ${man3})
	foreach(call ${S_CALLS})
		file(CONFIGURE OUTPUT ${call}.3 CONTENT ".so man3/${lib}.3\n")
		install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${call}.3 DESTINATION ${man3})
	endforeach()
endfunction()
