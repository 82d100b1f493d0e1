/*
 * screen.h - all pools live, on a terminal.
 *
 * Owns the terminal while it is shown: no echo, no waiting for a whole line; it is
 * put back whatever ends the program, but for SIGKILL.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef MPOOL_TOOLS_SCREEN_H
#define MPOOL_TOOLS_SCREEN_H

/* Show them anew after so many seconds, until q, Ctrl-C or a signal. */
void screen_show(double interval);

#endif
