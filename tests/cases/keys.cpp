// keys.cpp - keys.c, as C++.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "keys.c"
