#pragma once
// Lines from a terminal or a pipe, and Ctrl-C as an event: ordinary code waits for both.
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <eigenlm/base/error.hpp>
#include <initializer_list>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

namespace terminal {

/// A file descriptor that closes itself; -1: none.
class Descriptor {
  public:
    explicit Descriptor(int fd = -1) : fd_(fd) {}
    ~Descriptor() {
        if (fd_ >= 0) close(fd_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int get() const { return fd_; }

  private:
    int fd_;
};

/// Waits until one of the two can be read; poll leaves negative ones out.
inline void wait_for(int one, int other) {
    pollfd both[] = {{one, POLLIN, 0}, {other, POLLIN, 0}};
    while (poll(both, 2, -1) < 0)
        if (errno != EINTR) throw eigenlm::IoError("poll", std::strerror(errno));
}

/// SIGINT, or several signals, as something that can be waited for. No handler runs: the signals stay blocked, here and
/// in all threads that are started later, so a program makes one of these before it starts any. Where they are not
/// `wanted`, Ctrl-C ends the program as usual.
class Interrupts {
  public:
    explicit Interrupts(bool wanted, std::initializer_list<int> signals = {SIGINT})
        : fd_(wanted ? open(signals) : -1) {}

    int fd() const { return fd_.get(); }
    /// Whether there was one since the last call.
    bool take() const {
        signalfd_siginfo info;
        return fd() >= 0 && read(fd(), &info, sizeof info) == static_cast<ssize_t>(sizeof info);
    }

  private:
    static int open(std::initializer_list<int> signals) {
        sigset_t set;
        sigemptyset(&set);
        for (const int signal : signals) sigaddset(&set, signal);
        pthread_sigmask(SIG_BLOCK, &set, nullptr);
        const int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
        if (fd < 0) throw eigenlm::ResourceError("signalfd", std::strerror(errno));
        return fd;
    }

    Descriptor fd_;
};

/// While it lives, an interrupt requests a stop: of work that would not look for interrupts itself.
class StopOnInterrupt {
  public:
    StopOnInterrupt(const Interrupts& interrupts, std::stop_source stop)
        : interrupts_(interrupts), done_(eventfd(0, EFD_CLOEXEC)) {
        if (done_.get() < 0) throw eigenlm::ResourceError("eventfd", std::strerror(errno));
        if (interrupts.fd() >= 0) waiter_ = std::thread([this, stop = std::move(stop)]() mutable { wait(stop); });
    }
    ~StopOnInterrupt() {
        if (!waiter_.joinable()) return;
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto written = write(done_.get(), &one, sizeof one);
        waiter_.join();
        interrupts_.take();  // a second one, from somebody impatient
    }
    StopOnInterrupt(const StopOnInterrupt&) = delete;
    StopOnInterrupt& operator=(const StopOnInterrupt&) = delete;

  private:
    void wait(std::stop_source& stop) const {
        wait_for(interrupts_.fd(), done_.get());
        if (interrupts_.take()) stop.request_stop();
    }

    const Interrupts& interrupts_;
    Descriptor done_;
    std::thread waiter_;
};

/// The standard input, line by line.
class Lines {
  public:
    enum class Event { line, interrupt, end };

    explicit Lines(const Interrupts& interrupts) : interrupts_(interrupts) {}

    /// Waits for a line, and leaves it in `line` without its end. An interrupt forgets what was typed so far.
    Event next(std::string& line) {
        for (std::size_t searched = 0;; searched = text_.size(), fill()) {
            const std::size_t end = text_.find('\n', searched);
            if (end != std::string::npos) return give(line, end, end + 1);
            if (text_.size() > longest) throw eigenlm::IoError("stdin", "a line is longer than 16 MiB");
            if (ended_) return text_.empty() ? Event::end : give(line, text_.size(), text_.size());
            wait_for(STDIN_FILENO, interrupts_.fd());
            if (!interrupts_.take()) continue;
            text_.clear();
            return Event::interrupt;
        }
    }

  private:
    static constexpr std::size_t longest = std::size_t{1} << 24;

    Event give(std::string& line, std::size_t end, std::size_t next_line) {
        line.assign(text_, 0, end);
        text_.erase(0, next_line);
        return Event::line;
    }
    void fill() {
        char block[1 << 16];
        const ssize_t count = read(STDIN_FILENO, block, sizeof block);
        if (count < 0 && errno != EINTR && errno != EAGAIN) throw eigenlm::IoError("stdin", std::strerror(errno));
        if (count > 0) text_.append(block, static_cast<std::size_t>(count));
        ended_ = count == 0;
    }

    const Interrupts& interrupts_;
    std::string text_;  // read, and not given out yet
    bool ended_ = false;
};

}  // namespace terminal
