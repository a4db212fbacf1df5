/* parity [CONFIG]: all checks. */
#include "parity.h"

static volatile sig_atomic_t raised;

static void on_sigpipe(int number)
{
    (void)number;
    raised++;
}

int sigpipes(void)
{
    int count = raised;
    raised = 0;
    return count;
}

void say(const char *name, long value, int error)
{
    printf("%s %ld %s\n", name, value, value < 0 && error ? strerrorname_np(error) : "-");
}

int must(const char *what, int value)
{
    if (value < 0) {
        fprintf(stderr, "%s: %s\n", what, strerror(errno));
        exit(1);
    }
    return value;
}

socklen_t at(union address *address, const char *text, int port)
{
    memset(address, 0, sizeof *address);
    if (strchr(text, ':')) {
        address->v6.sin6_family = AF_INET6;
        address->v6.sin6_port = htons(port);
        must(text, inet_pton(AF_INET6, text, &address->v6.sin6_addr) - 1);
        return sizeof address->v6;
    }
    address->v4.sin_family = AF_INET;
    address->v4.sin_port = htons(port);
    must(text, inet_pton(AF_INET, text, &address->v4.sin_addr) - 1);
    return sizeof address->v4;
}

int await(int fd, short events)
{
    struct pollfd polled = {.fd = fd, .events = events};
    must("poll", poll(&polled, 1, 1000));
    return polled.revents;
}

int bound(int kind, const char *text, union address *address)
{
    socklen_t length = at(address, text, 0);
    int fd = must("socket", socket(address->any.sa_family, kind, 0));
    must("bind", bind(fd, &address->any, length));
    must("getsockname", getsockname(fd, &address->any, &length));
    return fd;
}

int listening(const char *text, union address *address)
{
    int fd = bound(SOCK_STREAM, text, address);
    must("listen", listen(fd, 8));
    return fd;
}

void connection(int *near, int *far)
{
    union address address;
    int listener = listening("127.0.0.1", &address);
    *near = must("socket", socket(AF_INET, SOCK_STREAM, 0));
    must("connect", connect(*near, &address.any, sizeof address.v4));
    *far = must("accept", accept(listener, NULL, NULL));
    close(listener);
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_sigpipe};
    sigaction(SIGPIPE, &action, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    alarm(25);
#ifdef TAPSTACK
    must("tapstack_init", argc > 1 ? tapstack_init(argv[1]) : -1);
#else
    (void)argc, (void)argv;
#endif
    making();
    naming();
    connecting();
    streams();
    endings();
    options();
    datagrams();
    messages();
    waiting();
    edges();
    names();
    groups();
    return 0;
}
