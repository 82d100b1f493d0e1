/* plugin.h - the one call of the plug-in of plugin.c. */
#ifndef MPOOL_CASE_PLUGIN_H
#define MPOOL_CASE_PLUGIN_H

enum { PLUGIN_OPEN, PLUGIN_USE, PLUGIN_CLOSE, PLUGIN_PAGE = 4096 };

/* 0, or an errno. */
typedef int plugin_step(int step, int fd);

#endif
