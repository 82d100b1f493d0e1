# SPDX-License-Identifier: BSD-2-Clause
#
# i686.cmake - toolchain: Debian's cross compiler for 32-bit x86.  What it builds is run by
# this machine's own kernel, if it has been built to, with the loader of Debian's cross
# packages.  Concurrency Kit's headers are the build machine's, as in aarch64.cmake.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR i686)
set(CMAKE_C_COMPILER i686-linux-gnu-gcc)
set(i686_root /usr/i686-linux-gnu)
set(CMAKE_CROSSCOMPILING_EMULATOR ${i686_root}/lib/ld-linux.so.2 --library-path ${i686_root}/lib)
set(CMAKE_FIND_ROOT_PATH ${i686_root})
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
