/*
 * process.h - this process and its threads, as the kernel knows them.
 *
 * Owns nothing.
 */
#ifndef MPOOL_PROCESS_H
#define MPOOL_PROCESS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Its number, in its PID namespace, and that of the user whose rights it has. */
pid_t process_id(void);
unsigned process_user(void);
/* Bytes that a file may have which it makes larger: beyond them a signal ends it. */
uint64_t process_file_max(void);

/* The calling thread's number. */
pid_t process_thread(void);
/* Is there no thread of that number in the process any more?  Another may have got it: then later. */
bool process_thread_gone(pid_t thread);

/*
 * A thread for what the library does by itself.  The program's signals are not for a thread
 * that it does not know of.  `small`: its stack is, since none of the program's functions run
 * there.  False: none can be had.
 */
bool process_thread_begin(pthread_t *thread, bool small, void *(*run)(void *), void *of);
/* Wait for its end. */
void process_thread_end(pthread_t thread);

#endif
