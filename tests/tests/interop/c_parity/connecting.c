/* connect and accept. */
#include "parity.h"

static int error_of(int fd)
{
    int error = 0;
    socklen_t length = sizeof error;
    must("SO_ERROR", getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length));
    return error;
}

static void blocking(void)
{
    union address address, peer;
    socklen_t length = sizeof peer;
    int listener = listening("127.0.0.1", &address);
    int near = must("socket", socket(AF_INET, SOCK_STREAM, 0));
    CHECK("connect to a short address", connect(near, &address.any, 8));
    union address other;
    at(&other, "::1", 9);
    CHECK("connect to the other family", connect(near, &other.any, sizeof other.v6));
    CHECK("connect", connect(near, &address.any, sizeof address.v4));
    CHECK("connect twice", connect(near, &address.any, sizeof address.v4));
    CHECK("bind what is connected", bind(near, &address.any, sizeof address.v4));
    CHECK("listen when connected", listen(near, 1));
    int far = must("accept", accept4(listener, &peer.any, &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
    CHECK("accept tells the length", length);
    CHECK("accept4, O_NONBLOCK", fcntl(far, F_GETFL, 0) & O_NONBLOCK);
    CHECK("accept4, FD_CLOEXEC", fcntl(far, F_GETFD, 0));
    CHECK("accept of a connection", accept(far, NULL, NULL));
    union address own;
    length = sizeof own;
    CHECK("getsockname of the client", getsockname(near, &own.any, &length));
    CHECK("is what accept told", own.v4.sin_port == peer.v4.sin_port);
    CHECK("getpeername of the client", getpeername(near, &own.any, &length));
    CHECK("is the listener's", own.v4.sin_port == address.v4.sin_port);
    close(far);
    close(near);
    close(listener);
    near = must("socket", socket(AF_INET, SOCK_STREAM, 0));
    CHECK("connect to nobody", connect(near, &address.any, sizeof address.v4));
    CHECK("and again", connect(near, &address.any, sizeof address.v4));
    CHECK("nothing is left of it", error_of(near));
    close(near);
    near = must("socket", socket(AF_INET, SOCK_STREAM, 0));
    at(&address, "224.0.0.251", 9);
    CHECK("connect to a group", connect(near, &address.any, sizeof address.v4));
    at(&address, "127.0.0.1", 0);
    CHECK("connect to port 0", connect(near, &address.any, sizeof address.v4));
    close(near);
}

static void under_way(void)
{
    union address nobody;
    socklen_t length = at(&nobody, "192.0.2.77", 9);
    char byte;
    int fd = must("socket", socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    CHECK("connect without waiting", connect(fd, &nobody.any, length));
    CHECK("connect that is under way", connect(fd, &nobody.any, length));
    CHECK("its error", error_of(fd));
    CHECK("getpeername before there is one", getpeername(fd, &nobody.any, &length));
    struct pollfd polled = {.fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP};
    CHECK("poll while it is under way", poll(&polled, 1, 0));
    CHECK("send while it is under way", send(fd, "x", 1, MSG_NOSIGNAL));
    CHECK("recv while it is under way", recv(fd, &byte, 1, 0));
    CHECK("listen while it is under way", listen(fd, 1));
    close(fd);
    fd = must("socket", socket(AF_INET, SOCK_STREAM, 0));
    struct timeval time = {0, 30000};
    must("SO_SNDTIMEO", setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time));
    length = at(&nobody, "192.0.2.77", 9);
    CHECK("connect, no longer than SO_SNDTIMEO", connect(fd, &nobody.any, length));
    close(fd);
}

static void later(void)
{
    union address address;
    int listener = listening("127.0.0.1", &address);
    int fd = must("socket", socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    CHECK("connect, to be waited for", connect(fd, &address.any, sizeof address.v4));
    CHECK("it is there", await(fd, POLLOUT));
    CHECK("without an error", error_of(fd));
    close(accept(listener, NULL, NULL));
    close(fd);
    close(listener);
    fd = must("socket", socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    CHECK("connect, to be refused", connect(fd, &address.any, sizeof address.v4));
    CHECK("it is refused", await(fd, POLLOUT));
    CHECK("with its error", error_of(fd));
    CHECK("which is told once", error_of(fd));
    close(fd);
}

void connecting(void)
{
    blocking();
    under_way();
    later();
}
