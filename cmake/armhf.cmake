# SPDX-License-Identifier: BSD-2-Clause
#
# armhf.cmake - toolchain: Debian's cross compiler for 32-bit ARM, version 7, and qemu's
# user mode to run what it builds.  Otherwise as aarch64.cmake.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR armv7)
set(CMAKE_C_COMPILER arm-linux-gnueabihf-gcc)
set(armhf_root /usr/arm-linux-gnueabihf)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-arm -L ${armhf_root})
set(CMAKE_FIND_ROOT_PATH ${armhf_root})
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
