#!/bin/bash
# install.sh BUILD SOURCE - check what "cmake --install BUILD" gives to those
# who build programs with it.
set -euo pipefail
export LC_ALL=C

build=$1
source=$2

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

fail()
{
	echo "install.sh: $*" >&2
	exit 1
}

cached()
{
	sed -n "s/^$1:[A-Z]*=//p" "$build/CMakeCache.txt"
}

cc=$(cached CMAKE_C_COMPILER)
cxx=$(cached CMAKE_CXX_COMPILER)
generator=$(cached CMAKE_GENERATOR)
prefix=$(cached CMAKE_INSTALL_PREFIX)
warn=(-Wall -Wextra -Wpedantic -Werror)

sort > "$tmp/public" <<'EOF'
mpool_abandoned
mpool_attach
mpool_attach_store
mpool_clean
mpool_truncate
mpool_invalidate
mpool_close
mpool_delete
mpool_filter
mpool_get
mpool_getv
mpool_hooks
mpool_latch
mpool_new
mpool_new_flags
mpool_newf
mpool_open
mpool_open_key
mpool_open_store
mpool_peek
mpool_prefetch
mpool_put
mpool_stat
mpool_stats
mpool_sync
mpool_sync_range
mpool_tune
mpool_tuned
mpool_unchanged
mpool_unlatch
mpool_upgrade
mpool_view
EOF

echo "== install"
# A package is made with DESTDIR.
DESTDIR=$tmp/dest cmake --install "$build" > "$tmp/log" || { cat "$tmp/log"; fail "with DESTDIR"; }
find "$tmp/dest$prefix" -name mpool.h | grep -q . || fail "DESTDIR: no mpool.h under $prefix"
# What is installed finds its parts from its own place, so it can be moved.
cmake --install "$build" --prefix "$tmp/first" > "$tmp/log" || { cat "$tmp/log"; fail "with --prefix"; }
mv "$tmp/first" "$tmp/moved"
root=$tmp/moved

so=$(find "$root" -name libmpool.so)
lib=$(dirname "$so")
include=$(dirname "$(find "$root" -name mpool.h)")
archive=$lib/libmpool.a
for file in "$so" "$so.0" "$archive" "$include/mpool.h" "$include/mpool_peek.h" "$lib/pkgconfig/mpool.pc" \
	"$lib/cmake/mpool/mpoolConfig.cmake" "$lib/cmake/mpool/mpoolConfigVersion.cmake"; do
	[ -f "$file" ] || fail "not installed: $file"
done
if [ "$(cached MPOOL_BUILD_TOOLS)" = ON ]; then
	top=$(find "$root" -path '*/bin/mpool-top')
	"$top" --once > "$tmp/top" || fail "mpool-top: exit status $?"
	grep -q '^#pool' "$tmp/top" || fail "mpool-top prints no table"
	find "$root" -name mpool-top.1 | grep -q . || fail "no manual page of mpool-top"
fi
if [ -e "$build/servers/nbd/nbdkit-mpool-plugin.so" ]; then
	plugin=$(find "$root" -path '*/nbdkit/plugins/nbdkit-mpool-plugin.so')
	[ -n "$plugin" ] || fail "the plugin for nbdkit is not installed"
	# By itself: what it needs of libmpool is in it.
	LD_LIBRARY_PATH='' nbdkit --dump-plugin "$plugin" > "$tmp/plugin" || fail "nbdkit --dump-plugin: exit status $?"
	grep -q '^name=mpool$' "$tmp/plugin" || fail "nbdkit does not know the plugin"
	[ "$(nm -D --defined-only --format=posix "$plugin" | sed 's/ .*//')" = plugin_init ] || fail "the plugin exports more than nbdkit needs"
	find "$root" -name nbdkit-mpool-plugin.1 | grep -q . || fail "no manual page of the plugin"
fi
nbd=$(find "$root" -name libmpool_nbd.so)
if [ -n "$(cached MPOOL_HAS_NBD)" ]; then
	for file in "$nbd" "$nbd.0" "$lib/libmpool_nbd.a" "$include/mpool_nbd.h" "$lib/pkgconfig/mpool-nbd.pc"; do
		[ -f "$file" ] || fail "not installed: $file"
	done
	find "$root" -name mpool_nbd.3 | grep -q . || fail "no manual page of the store over NBD"
fi
rados=$(find "$root" -name libmpool_rados.so)
if [ -n "$(cached MPOOL_HAS_RADOS)" ]; then
	for file in "$rados" "$rados.0" "$lib/libmpool_rados.a" "$include/mpool_rados.h" "$lib/pkgconfig/mpool-rados.pc"; do
		[ -f "$file" ] || fail "not installed: $file"
	done
	find "$root" -name mpool_rados.3 | grep -q . || fail "no manual page of the store over RADOS"
fi
if grep -rIlF -e "$source" -e "$build" "$root"; then
	fail "these files name the directory they were built in"
fi

echo "== symbols"
nm -D --defined-only --format=posix "$so" | awk '$2 != "A" { sub(/@.*/, "", $1); print $1 }' | sort > "$tmp/so"
diff -u "$tmp/public" "$tmp/so" || fail "libmpool.so exports other symbols than the public ones"
readelf -sW "$archive" | awk '($5 == "GLOBAL" || $5 == "WEAK") && $6 == "DEFAULT" && $7 != "UND" { print $8 }' |
	sort > "$tmp/a"
diff -u "$tmp/public" "$tmp/a" || fail "libmpool.a has other symbols of default visibility than the public ones"

readelf -dW "$so" > "$tmp/dynamic"
grep -q 'SONAME.*\[libmpool\.so\.0\]' "$tmp/dynamic" || fail "SONAME is not libmpool.so.0"
grep -q 'NODELETE' "$tmp/dynamic" || fail "libmpool.so is not marked NODELETE"
# The C library, by whatever file names, what unwinds the stack under a filter that throws, and liburing if it was
# built with that are all it may need.
uring=
[ -z "$(cached MPOOL_HAS_URING)" ] || uring='|liburing'
if grep NEEDED "$tmp/dynamic" | grep -vE "\[(libc|libpthread|libgcc_s|ld-linux[^]]*$uring)\.so\.[0-9]+\]"; then
	fail "libmpool.so needs that"
fi

if [ -n "$nbd" ]; then
	printf '%s\n' mpool_attach_nbd mpool_nbd_connect mpool_nbd_store mpool_open_nbd > "$tmp/public_nbd"
	nm -D --defined-only --format=posix "$nbd" | awk '$2 != "A" { sub(/@.*/, "", $1); print $1 }' | sort > "$tmp/so"
	diff -u "$tmp/public_nbd" "$tmp/so" || fail "libmpool_nbd.so exports other symbols than the public ones"
	readelf -dW "$nbd" | grep -q 'SONAME.*\[libmpool_nbd\.so\.0\]' || fail "SONAME is not libmpool_nbd.so.0"
fi
if [ -n "$rados" ]; then
	printf '%s\n' mpool_open_rados mpool_rados_calls mpool_rados_close mpool_rados_open mpool_rados_refresh mpool_rados_serve \
		mpool_rados_stats > "$tmp/public_rados"
	nm -D --defined-only --format=posix "$rados" | awk '$2 != "A" { sub(/@.*/, "", $1); print $1 }' | sort > "$tmp/so"
	diff -u "$tmp/public_rados" "$tmp/so" || fail "libmpool_rados.so exports other symbols than the public ones"
	readelf -dW "$rados" | grep -q 'SONAME.*\[libmpool_rados\.so\.0\]' || fail "SONAME is not libmpool_rados.so.0"
fi

echo "== the header in every language"
cat > "$tmp/header.c" <<'EOF'
#include <mpool.h>
void *two(MPOOL *mp, pgno_t *pgno);
void *three(MPOOL *mp, pgno_t *pgno);
void *two(MPOOL *mp, pgno_t *pgno) { return mpool_new(mp, pgno); }
void *three(MPOOL *mp, pgno_t *pgno) { return mpool_new(mp, pgno, MPOOL_PAGE_NEXT); }
EOF
cp "$tmp/header.c" "$tmp/header.cpp"
[ -z "$nbd" ] || sed -i '1s/.*/#include <mpool_nbd.h>/' "$tmp/header.c" "$tmp/header.cpp"
[ -z "$rados" ] || sed -i '1i #include <mpool_rados.h>' "$tmp/header.c" "$tmp/header.cpp"
# Variadic macros are not in C89, but every compiler has had them since.
"$cc" -std=gnu89 "${warn[@]}" -Wno-variadic-macros -I"$include" -c "$tmp/header.c" -o "$tmp/header.o"
for std in c99 gnu99 c11 gnu11; do
	"$cc" -std=$std "${warn[@]}" -I"$include" -c "$tmp/header.c" -o "$tmp/header.o"
done
for std in c++11 c++17 c++20; do
	"$cxx" -std=$std "${warn[@]}" -I"$include" -c "$tmp/header.cpp" -o "$tmp/header.o"
done

echo "== programs, with pkg-config"
mkdir "$tmp/user"
cat > "$tmp/user/use.h" <<'EOF'
/* A page goes to the file, leaves memory and comes back: 0 when it does. */
static int use(MPOOL *mp)
{
	pgno_t pgno, other, i;
	unsigned char *page = (unsigned char *)mpool_new(mp, &pgno);
	if (!page)
		return 1;
	page[99] = 42;
	if (mpool_put(mp, page, MPOOL_DIRTY))
		return 2;
	for (i = 0; i < 9; i++)
		if (mpool_put(mp, mpool_new(mp, &other), MPOOL_DIRTY))
			return 3;
	if (mpool_sync(mp) || !(page = (unsigned char *)mpool_get(mp, pgno, 0)))
		return 4;
	return page[99] != 42 || mpool_put(mp, page, 0);
}
EOF
cat > "$tmp/user/user.c" <<'EOF'
#include <mpool.h>
#include <stdio.h>
#include "use.h"
int main(void)
{
	FILE *file = tmpfile();
	MPOOL *mp = mpool_open(NULL, fileno(file), 4096, 2);
	int result = !mp || use(mp) || mpool_close(mp);
	puts(result ? "the pool does not work" : "ok");
	return result;
}
EOF
cp "$tmp/user/user.c" "$tmp/user/user.cpp"

# Only here, and as a program's packager would set it.
export PKG_CONFIG_PATH=$lib/pkgconfig
export LD_LIBRARY_PATH=$lib
read -ra flags <<< "$(pkg-config --cflags --libs mpool)"
read -ra static_flags <<< "$(pkg-config --static --cflags --libs mpool)"
[ "$(pkg-config --modversion mpool)" = "$(cached CMAKE_PROJECT_VERSION)" ] || fail "mpool.pc: version"
"$cc" "$tmp/user/user.c" "${flags[@]}" -o "$tmp/user/c"
"$cxx" "$tmp/user/user.cpp" "${flags[@]}" -o "$tmp/user/cxx"
"$cc" -static "$tmp/user/user.c" "${static_flags[@]}" -o "$tmp/user/c-static"
"$cxx" -static "$tmp/user/user.cpp" "${static_flags[@]}" -o "$tmp/user/cxx-static"
for program in c cxx c-static cxx-static; do
	"$tmp/user/$program" || fail "$program: exit status $?"
done
if [ -n "$nbd" ]; then
	cat > "$tmp/user/nbd.c" <<'EOF'
#include <mpool_nbd.h>
#include <errno.h>
#include <stdio.h>
int main(void)
{
	MPOOL *mp = mpool_open_nbd("nbd+unix:///?socket=/nowhere", NULL, 0, 4096, 2);
	puts(!mp && errno == ENOENT ? "ok" : "there is a server where there is none");
	return mp || errno != ENOENT;
}
EOF
	read -ra nbd_flags <<< "$(pkg-config --cflags --libs mpool-nbd)"
	"$cc" "$tmp/user/nbd.c" "${nbd_flags[@]}" -o "$tmp/user/nbd"
	"$tmp/user/nbd" || fail "a program with libmpool_nbd: exit status $?"
fi
if [ -n "$rados" ]; then
	cat > "$tmp/user/rados.c" <<'EOF'
#include <mpool_rados.h>
#include <errno.h>
#include <stdio.h>
int main(void)
{
	const struct mpool_rados_how how = {.conf = "/no/where", .pool = "pages", .name = "x", .flags = MPOOL_RADOS_READER};
	MPOOL *mp = mpool_open_rados(&how, sizeof how, 4096, 2, NULL);
	puts(!mp && errno == ENOENT ? "ok" : "there is a cluster where there is none");
	return mp || errno != ENOENT;
}
EOF
	read -ra rados_flags <<< "$(pkg-config --cflags --libs mpool-rados)"
	"$cc" "$tmp/user/rados.c" "${rados_flags[@]}" -o "$tmp/user/rados"
	"$tmp/user/rados" || fail "a program with libmpool_rados: exit status $?"
fi
unset LD_LIBRARY_PATH
# As the README has it, for a prefix in which the loader does not look.
"$cc" "$tmp/user/user.c" "${flags[@]}" "-Wl,-rpath,$(pkg-config --variable=libdir mpool)" -o "$tmp/user/c-rpath"
"$tmp/user/c-rpath" || fail "c-rpath: exit status $?"

echo "== programs, with CMake"
cat > "$tmp/user/CMakeLists.txt" <<'EOF'
cmake_minimum_required(VERSION 3.21)
project(user LANGUAGES C CXX)
find_package(mpool 0.1 REQUIRED)
foreach(lib mpool mpool_static)
	add_executable(c-${lib} user.c)
	add_executable(cxx-${lib} user.cpp)
	target_link_libraries(c-${lib} PRIVATE mpool::${lib})
	target_link_libraries(cxx-${lib} PRIVATE mpool::${lib})
endforeach()
EOF
{
	cmake -S "$tmp/user" -B "$tmp/user/build" -G "$generator" -DCMAKE_PREFIX_PATH="$root" \
		-DCMAKE_C_COMPILER="$cc" -DCMAKE_CXX_COMPILER="$cxx" &&
	cmake --build "$tmp/user/build"
} > "$tmp/log" 2>&1 || { cat "$tmp/log"; fail "the CMake package"; }
for program in c-mpool cxx-mpool c-mpool_static cxx-mpool_static; do
	"$tmp/user/build/$program" || fail "$program: exit status $?"
done

echo "== within another project, which has no C++"
mkdir "$tmp/outer"
cp "$tmp/user/user.c" "$tmp/user/use.h" "$tmp/outer"
cat > "$tmp/outer/CMakeLists.txt" <<'EOF'
cmake_minimum_required(VERSION 3.21)
project(outer LANGUAGES C)
add_subdirectory($ENV{MPOOL_SOURCE} mpool)
add_executable(user user.c)
target_link_libraries(user PRIVATE mpool::mpool)
EOF
# outer NAME SETTING... - build it in $tmp/outer/NAME, and install that.
outer()
{
	local tree=$tmp/outer/$1
	shift
	{
		MPOOL_SOURCE=$source cmake -S "$tmp/outer" -B "$tree" -G "$generator" -DCMAKE_C_COMPILER="$cc" "$@" &&
			cmake --build "$tree" --parallel && cmake --install "$tree" --prefix "$tree/installed"
	} > "$tmp/log" 2>&1 || { cat "$tmp/log"; fail "within another project: $*"; }
	! grep -q '^CMAKE_CXX_COMPILER:' "$tree/CMakeCache.txt" || fail "a C++ compiler was looked for: $*"
	"$tree/user" > "$tmp/log" || fail "within another project, $*: exit status $?"
}
# linked NAME - "shared" or "static".
linked()
{
	if readelf -d "$tmp/outer/$1/user" | grep -q 'NEEDED.*libmpool'; then echo shared; else echo static; fi
}
outer plain
[ "$(linked plain)" = static ] || fail "a project that says nothing gets the shared library"
[ ! -e "$tmp/outer/plain/installed" ] || fail "a project that says nothing installs libmpool"
outer static -DBUILD_SHARED_LIBS=OFF
[ "$(linked static)" = static ] || fail "BUILD_SHARED_LIBS=OFF gives the shared library"
outer shared -DBUILD_SHARED_LIBS=ON -DMPOOL_INSTALL=ON
[ "$(linked shared)" = shared ] || fail "BUILD_SHARED_LIBS=ON gives the static library"
find "$tmp/outer/shared/installed" -name libmpool.so | grep -q . || fail "MPOOL_INSTALL=ON does not install the library"
! find "$tmp/outer/shared" -name libmpool.a | grep -q . || fail "BUILD_SHARED_LIBS=ON builds the static library too"

echo "== the preset install, with the static library alone"
tree=$tmp/alone
{
	(cd "$source" && cmake --preset install -B "$tree" -G "$generator" -DCMAKE_C_COMPILER="$cc" -DBUILD_SHARED_LIBS=OFF) &&
		cmake --build "$tree" --parallel && cmake --install "$tree" --prefix "$tree/installed"
} > "$tmp/log" 2>&1 || { cat "$tmp/log"; fail "the preset install"; }
! grep -q '^CMAKE_CXX_COMPILER:' "$tree/CMakeCache.txt" || fail "the preset install looks for a C++ compiler"
! find "$tree/installed" -name 'libmpool.so*' | grep -q . || fail "BUILD_SHARED_LIBS=OFF installs the shared library"
sed -i 's/foreach(lib mpool mpool_static)/foreach(lib mpool)/' "$tmp/user/CMakeLists.txt"
{
	cmake -S "$tmp/user" -B "$tmp/user/alone" -G "$generator" -DCMAKE_PREFIX_PATH="$tree/installed" \
		-DCMAKE_C_COMPILER="$cc" -DCMAKE_CXX_COMPILER="$cxx" && cmake --build "$tmp/user/alone"
} > "$tmp/log" 2>&1 || { cat "$tmp/log"; fail "the CMake package of the static library alone"; }
"$tmp/user/alone/c-mpool" || fail "mpool::mpool of the static library alone: exit status $?"
pc=$(dirname "$(find "$tree/installed" -name mpool.pc)")
read -ra flags_alone <<< "$(PKG_CONFIG_PATH=$pc pkg-config --cflags --libs mpool)"
"$cc" "$tmp/user/user.c" "${flags_alone[@]}" -o "$tmp/user/c-alone"
"$tmp/user/c-alone" || fail "c-alone: exit status $?"

echo "== whose malloc a program has"
cat > "$tmp/user/malloc.c" <<'EOF'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <mpool.h>
#include <stdio.h>
#include <string.h>
#include "use.h"
int main(void)
{
	Dl_info info;
	MPOOL *mp = mpool_open(NULL, fileno(tmpfile()), 4096, 2);
	if (!mp || use(mp) || !dladdr(dlsym(RTLD_DEFAULT, "malloc"), &info))
		return 1;
	puts(info.dli_fname);
	return !strstr(info.dli_fname, "/libc.so");
}
EOF
"$cc" "$tmp/user/malloc.c" "${flags[@]}" -ldl -o "$tmp/user/malloc"
LD_LIBRARY_PATH=$lib "$tmp/user/malloc" || fail "malloc is not the C library's"

echo "== dlopen"
cat > "$tmp/user/dl.c" <<'EOF'
/* A thread that used the library outlives the last dlclose. */
#include <dlfcn.h>
#include <mpool.h>
#include <pthread.h>
#include <stdio.h>
static void *lib;
static pthread_barrier_t used, closed;
static void *thread(void *result)
{
	MPOOL *(*open)(void *, int, pgno_t, pgno_t);
	void *(*get)(MPOOL *, pgno_t, unsigned int);
	int (*put)(MPOOL *, void *, unsigned int), (*close)(MPOOL *);
	void *page;
	MPOOL *mp;
	*(void **)&open = dlsym(lib, "mpool_open");
	*(void **)&get = dlsym(lib, "mpool_get");
	*(void **)&put = dlsym(lib, "mpool_put");
	*(void **)&close = dlsym(lib, "mpool_close");
	mp = open(NULL, fileno((FILE *)result), 1, 2);
	page = mp ? get(mp, 0, 0) : NULL;
	if (!page || *(char *)page != 'x' || put(mp, page, 0) || close(mp))
		result = NULL;
	pthread_barrier_wait(&used);
	pthread_barrier_wait(&closed);
	return result;
}
int main(int argc, char **argv)
{
	FILE *file = tmpfile();
	pthread_t t;
	void *result;
	lib = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;
	if (!lib || fputc('x', file) == EOF || fflush(file)) {
		fprintf(stderr, "%s\n", dlerror());
		return 1;
	}
	pthread_barrier_init(&used, NULL, 2);
	pthread_barrier_init(&closed, NULL, 2);
	pthread_create(&t, NULL, thread, file);
	pthread_barrier_wait(&used);
	if (dlclose(lib))
		return 1;
	pthread_barrier_wait(&closed);
	pthread_join(t, &result);
	puts(result ? "ok" : "the pool does not work");
	return !result;
}
EOF
"$cc" "$tmp/user/dl.c" -I"$include" -pthread -ldl -o "$tmp/user/dl"
"$tmp/user/dl" "$so" || fail "dlopen: exit status $?"

echo "== manual pages"
man=$(dirname "$(dirname "$(find "$root" -name mpool.3)")")
cd "$man" # where the file that a link page names is looked for
while read -r call; do
	mandoc -T tree "man3/$call.3" > "$tmp/page"
	grep -qw "$call" "$tmp/page" || fail "no page that documents $call"
done < "$tmp/public"
# mandoc has a warning for link pages as such.
find . -type f -exec grep -LE '^\.so ' {} + > "$tmp/pages"
while read -r page; do
	mandoc -T lint -W warning "$page" || fail "mandoc -T lint"
done < "$tmp/pages"

echo "install.sh: all is well"
