/*
 * contender.hpp - a store that takes part, with its directory, and the keys that are in it.
 *
 * The keys of 0 to `keys` are those that were asked for; those of `fresh` on were put by cells that end when
 * their time is over.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#pragma once

#include <functional>
#include <stdexcept>

#include "compare/processors.hpp"
#include "store.hpp"

namespace trees {

/* A store did not do what was asked of it: the program ends. */
struct Wrong : std::runtime_error {
	using std::runtime_error::runtime_error;
};

/* In which order keys are put: in their own, or in that of a hash. */
enum class Order { own, random };

/* The number of the i-th key. */
inline uint64_t key_number(Order o, uint64_t i)
{
	return o == Order::own ? i : compare::mixed(i);
}

/* What threads did, and how long that took from the first's beginning to the last's end. */
struct Run {
	uint64_t operations;
	double seconds;
};

class Contender {
public:
	/* Makes the directory, below `parent`. */
	Contender(const Kind &, Order, const std::string &parent);
	~Contender();
	Contender(const Contender &) = delete;
	Contender &operator=(const Contender &) = delete;

	const Kind &kind() const { return which; }

	/* The setup's directory is this one's. */
	void open(Setup);
	/* With a checkpoint, and nothing left to be done when it is opened. */
	void close();
	/* The kernel has nothing of its files in memory; while it is closed. */
	void chill() const;
	void checkpoint() { store->checkpoint(); }

	/* Keys first to last - 1, each thread a part that lies together. */
	Run insert(unsigned threads, uint64_t first, uint64_t last, const compare::Processors &);
	/* New keys, as long as there is time. */
	Run insert_for(unsigned threads, unsigned milliseconds, const compare::Processors &);
	/* Of the first `keys` any, drawn with this beginning. */
	Run look_up_for(unsigned threads, unsigned milliseconds, uint64_t keys, uint64_t seed,
	                const compare::Processors &);
	/* So many lookups of them in all. */
	void look_up(unsigned threads, uint64_t lookups, uint64_t keys, uint64_t seed, const compare::Processors &);

	/* Every step-th key up to that is there with its value, and so is the one after those that were ever put not.  Throws Wrong. */
	void check(uint64_t keys, uint64_t step);

private:
	/* How many operations a thread does; `over`: it is to end. */
	using Work = std::function<uint64_t(Session &, unsigned thread, const std::atomic<bool> &over)>;

	Run run(unsigned threads, unsigned milliseconds, const Work &, const compare::Processors &);
	void put(Session &, uint64_t i) const;
	void must_find(Session &, uint64_t i) const;

	const Kind &which;
	const Order order;
	const std::string directory;
	std::unique_ptr<Store> store;
	std::vector<std::unique_ptr<Session>> sessions; /* by thread; end before the store */
	uint64_t fresh;
};

} // namespace trees
