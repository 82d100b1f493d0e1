// seccomp.hpp - forbids system calls to the calling thread and those it starts.
//
// SPDX-License-Identifier: BSD-2-Clause
#ifndef MPOOL_TESTS_SECCOMP_HPP
#define MPOOL_TESTS_SECCOMP_HPP

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

namespace test {

// Does this process have a filter?
inline bool filtered = false;

// What becomes of the calls named, and of all others.
inline bool install_filter(std::initializer_list<int> calls, uint32_t named, uint32_t others)
{
	std::vector<struct sock_filter> code;
	code.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
	for (int call : calls) {
		code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call), 0, 1));
		code.push_back(BPF_STMT(BPF_RET | BPF_K, named));
	}
	code.push_back(BPF_STMT(BPF_RET | BPF_K, others));
	struct sock_fprog program = {static_cast<unsigned short>(code.size()), code.data()};
	filtered = true;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

// True where the kernel lets a process filter its calls at all.
inline bool can_filter()
{
	return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
}

} // namespace test

#endif
