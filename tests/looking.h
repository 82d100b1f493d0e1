/*
 * looking.h - the library's look at shared pools, for test_top.cpp: C++ cannot
 * include its header.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef LOOKING_H
#define LOOKING_H

#ifdef __cplusplus
extern "C" {
#endif

/* Look at all pools.  Of the object of that name: could it be counted?  -1: it is not there, or the look failed. */
int looking_counted(const char *object);

#ifdef __cplusplus
}
#endif

#endif
