// server.hpp - an nbdkit of a test's own: started, paused, stopped, killed, started again.
//
// SPDX-License-Identifier: BSD-2-Clause
#ifndef MPOOL_TESTS_NBD_STORE_SERVER_HPP
#define MPOOL_TESTS_NBD_STORE_SERVER_HPP

#include "../support.hpp"

#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>

#include <netinet/in.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <mpool_nbd.h>

namespace test {

using Words = std::vector<std::string>;

// A folder, gone at the end with what is in it.
class Folder {
public:
	// Sockets have short names.
	Folder() : path_("/tmp/mpool-nbd-XXXXXX") { REQUIRE(mkdtemp(&path_[0])); }
	Folder(const Folder &) = delete;
	Folder &operator=(const Folder &) = delete;
	~Folder()
	{
		int status = system(("rm -rf " + path_).c_str());
		(void)status;
	}
	std::string file(const std::string &name) const { return path_ + "/" + name; }

private:
	std::string path_;
};

inline bool is_there(const std::string &path)
{
	return access(path.c_str(), F_OK) == 0;
}

inline std::string text_of(const std::string &path)
{
	std::ifstream file(path);
	return {std::istreambuf_iterator<char>(file), {}};
}

inline void make_file(const std::string &path, const std::string &text = "")
{
	std::ofstream(path) << text;
}

// How often the text has the part.
inline size_t occurrences(const std::string &text, const std::string &part)
{
	size_t n = 0;
	for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
		n++;
	return n;
}

// Look again and again, until it is so; a watchdog ends what never is.
inline void await(const std::function<bool()> &so)
{
	const useconds_t between_looks = 2000;
	while (!so())
		usleep(between_looks);
}

extern "C" char **environ;

inline pid_t start(Words words)
{
	std::vector<char *> argv;
	for (std::string &word : words)
		argv.push_back(&word[0]);
	argv.push_back(nullptr);
	pid_t pid;
	INFO(words[0]);
	REQUIRE(posix_spawnp(&pid, argv[0], nullptr, nullptr, argv.data(), environ) == 0);
	return pid;
}

// The exit status of a program that ends by itself.
inline int run(const Words &words)
{
	int status;
	pid_t pid = start(words);
	REQUIRE(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

class Server {
public:
	// `tcp`: it has a port of this machine's, and no socket.
	explicit Server(Words words, bool tcp = false) : words_(std::move(words)), port_(tcp ? free_port() : 0)
	{
		begin();
	}
	Server(const Server &) = delete;
	Server &operator=(const Server &) = delete;
	~Server() { end(SIGKILL); }

	// Again, with what it has been started with, at the same address.
	void begin()
	{
		Words words = {"nbdkit", "-f", "--exit-with-parent", "-P", pidfile(), "-t", "64"};
		Words where = port_ ? Words{"-i", "127.0.0.1", "-p", std::to_string(port_)} : Words{"-U", socket()};
		words.insert(words.end(), where.begin(), where.end());
		unlink(pidfile().c_str());
		unlink(socket().c_str());
		// Options, the plugin, and what it and the filters are to know.
		for (int kind = 0; kind < 3; kind++)
			for (const std::string &word : words_)
				if (kind == (word[0] == '-' ? 0 : word.find('=') == std::string::npos ? 1 : 2))
					words.push_back(word);
		pid_ = start(words);
		await([this] {
			REQUIRE(waitpid(pid_, nullptr, WNOHANG) == 0);
			return text_of(pidfile()).find('\n') != std::string::npos;
		});
	}
	void begin(Words words)
	{
		words_ = std::move(words);
		begin();
	}
	void end(int signal)
	{
		if (pid_ == 0)
			return;
		kill(pid_, signal);
		waitpid(pid_, nullptr, 0);
		pid_ = 0;
	}
	// SIGSTOP: it does nothing any more, when this returns.
	void signal(int signal) const
	{
		REQUIRE(kill(pid_, signal) == 0);
		if (signal == SIGSTOP)
			REQUIRE(waitpid(pid_, nullptr, WUNTRACED) == pid_);
	}

	std::string uri() const
	{
		return port_ ? "nbd://127.0.0.1:" + std::to_string(port_) : "nbd+unix:///?socket=" + socket();
	}
	const Folder &folder() const { return folder_; }

private:
	// Nobody had it just now.
	static unsigned free_port()
	{
		Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
		struct sockaddr_in at = {};
		socklen_t size = sizeof at;
		at.sin_family = AF_INET;
		at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		REQUIRE(bind(fd, reinterpret_cast<struct sockaddr *>(&at), sizeof at) == 0);
		REQUIRE(getsockname(fd, reinterpret_cast<struct sockaddr *>(&at), &size) == 0);
		return ntohs(at.sin_port);
	}
	std::string socket() const { return folder_.file("s"); }
	std::string pidfile() const { return folder_.file("pid"); }

	Folder folder_;
	Words words_;
	unsigned port_;
	pid_t pid_ = 0;
};

// The store, by its functions.
class Store {
public:
	explicit Store(const std::string &uri, struct mpool_nbd_options options = {})
	    : cookie_(mpool_nbd_connect(uri.c_str(), &options, sizeof options))
	{
		INFO("mpool_nbd_connect: " << strerror(errno));
		REQUIRE(cookie_);
	}
	Store(const Store &) = delete;
	Store &operator=(const Store &) = delete;
	~Store() { close(); }
	void close()
	{
		if (cookie_)
			mpool_nbd_store.close(std::exchange(cookie_, nullptr));
	}
	void *cookie() const { return cookie_; }

	// 0, or the errno; -1: fewer bytes.
	int read(std::string &to, uint64_t at) const
	{
		struct iovec iov = {&to[0], to.size()};
		return answer(mpool_nbd_store.readv(cookie_, &iov, 1, at), to.size());
	}
	int write(std::string from, uint64_t at) const
	{
		struct iovec iov = {&from[0], from.size()};
		return answer(mpool_nbd_store.writev(cookie_, &iov, 1, at), from.size());
	}
	int flush() const { return mpool_nbd_store.flush(cookie_) == 0 ? 0 : errno; }
	uint64_t size() const
	{
		uint64_t bytes = 0;
		REQUIRE(mpool_nbd_store.size(cookie_, &bytes) == 0);
		return bytes;
	}

private:
	static int answer(ssize_t n, size_t wanted)
	{
		return n < 0 ? errno : static_cast<size_t>(n) == wanted ? 0 : -1;
	}

	void *cookie_;
};

// Requests that are submitted, and told of.
class Submitted {
public:
	~Submitted() { await_all(); }
	// `bytes` from `at` on, in pieces; read into, or written from.
	void submit(const Store &store, int op, uint64_t at, std::vector<std::string> &pieces)
	{
		requests_.emplace_back(new Request{{}, {}, this, 0, false});
		Request *r = requests_.back().get();
		for (std::string &piece : pieces)
			r->iov.push_back({&piece[0], piece.size()});
		r->io = {op, at, r->iov.data(), static_cast<int>(r->iov.size()), done, r, nullptr};
		int error = mpool_nbd_store.submit(store.cookie(), &r->io) == 0 ? 0 : errno;
		if (error)
			done(&r->io, -error);
	}
	void flush(const Store &store)
	{
		std::vector<std::string> none;
		submit(store, MPOOL_IO_FLUSH, 0, none);
	}
	void await_all()
	{
		std::unique_lock<std::mutex> lock(mutex_);
		changed_.wait(lock, [this] { return told_ == requests_.size(); });
	}
	void await_one(size_t i)
	{
		std::unique_lock<std::mutex> lock(mutex_);
		changed_.wait(lock, [this, i] { return requests_[i]->told; });
	}
	// What a request was told, after its wait.
	ssize_t result(size_t i)
	{
		std::lock_guard<std::mutex> lock(mutex_);
		return requests_[i]->result;
	}
	size_t told()
	{
		std::lock_guard<std::mutex> lock(mutex_);
		return told_;
	}

private:
	struct Request {
		struct mpool_io io;
		std::vector<struct iovec> iov;
		Submitted *of;
		ssize_t result;
		bool told;
	};
	static void done(struct mpool_io *io, ssize_t bytes)
	{
		Request *r = static_cast<Request *>(io->own);
		std::lock_guard<std::mutex> lock(r->of->mutex_);
		if (r->told)
			abort();
		r->told = true;
		r->result = bytes;
		r->of->told_++;
		r->of->changed_.notify_all();
	}

	std::mutex mutex_;
	std::condition_variable changed_;
	std::vector<std::unique_ptr<Request>> requests_;
	size_t told_ = 0;
};

// A server whose requests can be held up, and are logged as they begin: its filters, before the plugin.
class Pause {
public:
	explicit Pause(const std::string &path) : path_(path) {}
	static Words filters(const Folder &folder)
	{
		return {"--filter=log", "--filter=pause", "logfile=" + folder.file("log"),
			"pause-control=" + folder.file("pause")};
	}
	void pause() const { say('p'); }
	void resume() const { say('r'); }

private:
	// It answers with the capital.
	void say(char what) const
	{
		Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
		struct sockaddr_un to = {};
		to.sun_family = AF_UNIX;
		path_.copy(to.sun_path, sizeof to.sun_path - 1);
		REQUIRE(connect(fd, reinterpret_cast<struct sockaddr *>(&to), sizeof to) == 0);
		REQUIRE(::write(fd, &what, 1) == 1);
		REQUIRE(::read(fd, &what, 1) == 1);
	}
	std::string path_;
};

} // namespace test

#endif
