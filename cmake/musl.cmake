# SPDX-License-Identifier: BSD-2-Clause
#
# musl.cmake - toolchain: Debian's wrapper of gcc for musl, another C library, on this
# machine.  Linux's headers and Concurrency Kit's are the build machine's, looked for
# after musl's own.
set(CMAKE_C_COMPILER musl-gcc)
execute_process(COMMAND gcc -print-multiarch OUTPUT_VARIABLE multiarch OUTPUT_STRIP_TRAILING_WHITESPACE)
set(CMAKE_C_FLAGS_INIT "-idirafter /usr/include -idirafter /usr/include/${multiarch}")
