/* code.c - see code.h. */
#include "os/code.h"

#include <dlfcn.h>
#include <elf.h>
#include <stdlib.h>

bool code_asked(void)
{
	return getenv("MPOOL_PINS");
}

bool code_place_of(const void *to, struct code_place *p)
{
	const char *call = (const char *)to - 1;
	Dl_info info;
	if (!dladdr(call, &info))
		return false;
	/* All ELF headers have the type in the same place. */
	bool fixed = ((const Elf64_Ehdr *)info.dli_fbase)->e_type == ET_EXEC;
	*p = (struct code_place){info.dli_fname, info.dli_sname,
	                         (uintptr_t)call - (fixed ? 0 : (uintptr_t)info.dli_fbase)};
	return true;
}
