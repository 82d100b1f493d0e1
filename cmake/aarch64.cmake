# SPDX-License-Identifier: BSD-2-Clause
#
# aarch64.cmake - toolchain: Debian's cross compiler for 64-bit ARM, and qemu's
# user mode to run what it builds.
#
# Headers that are the same for every machine, Concurrency Kit's and Catch2's,
# are the build machine's: Debian's cross compiler looks in /usr/include last.
# Libraries are not, so what needs more than the C and C++ libraries is left out.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)

# Where Debian's cross packages have the dynamic linker and the C library.
set(aarch64_root /usr/aarch64-linux-gnu)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L ${aarch64_root})

# Libraries of the build machine are never taken for the other machine's.
set(CMAKE_FIND_ROOT_PATH ${aarch64_root})
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
